//! Labels: names with values that belong to a fiber, and that the fibers which it spawns inherit.

#![expect(
    unsafe_code,
    reason = "makes a handle of a fiber that is being spawned, and values of bytes that the kernel has copied"
)]

use std::mem::{offset_of, transmute_copy};
use std::sync::Arc;

use super::{Fiber, Flags, Header};
use crate::os::peek;

/// The labels of a fiber, in the order in which they were first set. A value: fibers that inherit it share it until one changes its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labels(Option<Arc<[Label]>>);

pub(super) type Label = (Box<str>, Box<str>);

impl Labels {
    fn iter(&self) -> impl Iterator<Item = &Label> {
        self.0.iter().flat_map(|labels| labels.iter())
    }

    /// The value of the label of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(other, _)| **other == *name).map(|(_, value)| &**value)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Where the name and the value are in a label.
    pub(super) const OFFSETS: [usize; 2] = [offset_of!(Label, 0), offset_of!(Label, 1)];

    /// The labels of a fiber that may end at any time: where the first is, which is not followed, and how many there are.
    pub(super) fn peek(place: *const Self) -> Option<(*const Label, usize)> {
        const { assert!(size_of::<Self>() == size_of::<[usize; 2]>()) };
        // The two words of an `Arc`, of which one is the length, and the other leads to where its values are, or to what comes before.
        let words = |labels: &Self| -> [usize; 2] {
            // SAFETY: of the same size, and any bytes are valid numbers.
            unsafe { transmute_copy(labels) }
        };
        let known = Self::default().with("", "");
        let [address, length] = words(&known);
        let before = known.0.as_deref()?.as_ptr().addr().wrapping_sub(address);
        if length != 1 {
            return None;
        }
        // SAFETY: any bytes are valid numbers.
        let [address, length] = unsafe { peek::value(place.cast::<[usize; 2]>())?.assume_init() };
        (address != 0).then(|| (std::ptr::without_provenance(address.wrapping_add(before)), length))
    }

    /// Copies of all names and values.
    pub(crate) fn to_vec(&self) -> Vec<(String, String)> {
        self.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    /// The same labels with this one, in the place of one of the same name.
    #[must_use]
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let label: Label = (name.into(), value.into());
        let mut labels: Vec<Label> = self.iter().cloned().collect();
        match labels.iter_mut().find(|(other, _)| **other == *name) {
            Some(place) => *place = label,
            None => labels.push(label),
        }
        Self(Some(labels.into()))
    }

    /// The same labels without this one.
    #[must_use]
    pub(crate) fn without(&self, name: &str) -> Self {
        let left: Vec<Label> = self.iter().filter(|(other, _)| **other != *name).cloned().collect();
        Self((!left.is_empty()).then(|| left.into()))
    }

    /// These labels, and in the place of those of the same name `others`.
    #[must_use]
    fn overridden_by(self, others: &Self) -> Self {
        if self.is_empty() {
            return others.clone();
        }
        others.iter().fold(self, |labels, (name, value)| labels.with(name, value))
    }
}

impl Header {
    /// Lets a fiber that is in no queue yet inherit the labels of its spawner, but for those that it has itself.
    #[cold]
    pub(crate) fn inherit_labels(&self, spawner: &Self) {
        let Some(spawner) = spawner.peek_identity() else { return };
        // SAFETY: a fiber that is in no queue yet is the caller's, and ends after it has been queued.
        let fiber: Fiber = unsafe { Self::handle(std::ptr::NonNull::from(self)) };
        fiber.identity().change_labels(|own| spawner.labels().overridden_by(own));
        self.set_flag(Flags::LABELLED);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Labels;

    #[test]
    fn a_label_takes_the_place_of_one_of_the_same_name() {
        let parent = Labels::default().with("a", "1").with("b", "2").with("a", "3");
        let own = Labels::default().with("b", "4").with("c", "5");
        let child = parent.clone().overridden_by(&own);
        let text = |labels: &Labels| {
            labels.to_vec().iter().map(|(name, value)| format!("{name}{value}")).collect::<String>()
        };
        assert_eq!((text(&parent).as_str(), text(&child).as_str()), ("a3b2", "a3b4c5"));
        assert_eq!(text(&child.without("b").without("x")), "a3c5");
        assert!(own.without("b").without("c").is_empty());
    }
}
