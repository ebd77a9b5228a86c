//! Labels, as users set them.

use crate::park::{self, Cost};
use crate::{fiber, scheduler};

/// Sets a label of the calling fiber: a name with a value, for people who look at a [`dump`](crate::dump). A label of the same name
/// is replaced.
///
/// Fibers that this one spawns from now on inherit its labels as they are at the spawn; later changes on either side are not seen
/// on the other. So a server that labels the fiber of a connection finds the label at everything that was spawned for it. Fibers
/// without labels cost nothing; each fiber that inherits some costs an allocation.
///
/// On a plain thread, the label is that of the thread's handle, and nobody inherits it.
///
/// ```
/// # abaca::run(|| {
/// abaca::observe::set_label("request", 17);
/// let child = abaca::spawn(|| abaca::current().labels());
/// assert_eq!(child.join().unwrap(), [("request".to_string(), "17".to_string())]);
/// abaca::observe::remove_label("request");
/// assert!(abaca::current().labels().is_empty());
/// # });
/// ```
pub fn set_label(name: &str, value: impl ToString) {
    park::spend(Cost::Call);
    let value = value.to_string();
    scheduler::record_label(name, &value);
    fiber::change_labels(|labels| labels.with(name, &value));
}

/// Removes a label of the calling fiber; see [`set_label`]. It does nothing if there is none of this name.
pub fn remove_label(name: &str) {
    park::spend(Cost::Call);
    fiber::change_labels(|labels| labels.without(name));
}
