//! The texts of a flight recorder.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The texts that events name by a number. There are few different ones in most programs; beyond [`MOST`] they have none.
#[derive(Default)]
pub(crate) struct Names(Mutex<HashMap<Box<str>, u32>>);

/// The most texts that are kept.
const MOST: usize = 8192;

impl Names {
    /// The number of this text, from 1; 0 if there are too many.
    pub(super) fn number(&self, text: &str) -> u64 {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = names.get(text) {
            return u64::from(*number);
        }
        if names.len() == MOST {
            return 0;
        }
        let number = names.len() as u32 + 1;
        names.insert(text.into(), number);
        number.into()
    }

    /// All texts, by their numbers; that of number 0 is empty.
    pub(crate) fn all(&self) -> Vec<String> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = vec![String::new(); names.len() + 1];
        for (name, number) in &*names {
            all[*number as usize] = name.to_string();
        }
        all
    }
}
