//! Words that nobody in the field uses, and what we say instead: they are not to come back.

use super::{File, assert_none, rust_files};

/// An old word, where it must not occur, and the word that took its place.
const OLD: &[(&str, &str, &str)] = &[
    ("Hope", "runtime/src", "AdaptiveSpin"),
    ("says_spin", "runtime/src", "should_spin"),
    ("disappoint", "runtime/src", "failed"),
    ("Bed", "runtime/src", "Parker"),
    ("lie_down", "runtime/src", "park"),
    ("get_up", "runtime/src", "unpark"),
    ("Bell", "runtime/src", "MonitorParker, ReadNotifier"),
    ("rouse", "runtime/src", "unpark"),
    ("poke", "runtime/src", "notify, unpark"),
    ("poked", "runtime/src", "notified"),
    ("nudge", "runtime/src", "signal"),
    ("has_mail", "runtime/src", "has_items"),
    ("STAND_BACK", "runtime/src", "LOCK_BACKOFF"),
    ("linger", "runtime/src/channel", "spin before parking"),
    ("Exchange", "runtime/src/channel", "Channel"),
    ("Meeting", "runtime/src", "State"),
    ("Parcel", "runtime/src", "Packet"),
    ("parcel", "runtime/src", "packet"),
    ("pledge", "runtime/src", "reservation"),
    ("Pledged", "runtime/src", "Reserved"),
    ("Owed", "runtime/src", "Handoffs"),
    ("Arm", "runtime/src/channel", "Case"),
    ("Shelved", "runtime/src", "StoredCase"),
    ("Unready", "runtime/src", "WouldBlock"),
    ("Patience", "runtime/src", "Block, deadline"),
    ("set_patience", "runtime/src", "set_nonblocking_flag"),
    ("Woken", "runtime/src", "Wakeup"),
    ("TaskWaiter", "runtime/src", "FutureWaiter"),
    ("Way", "runtime/src", "Direction"),
    ("drained", "runtime/src/poller", "exhausted"),
    ("WithoutHints", "runtime/src", "HintsOff"),
    ("Seen", "runtime/src/poller", "Snapshot"),
    ("Attempt", "runtime/src/poller", "LinkResult"),
    ("Edge", "runtime/src/poller", "Event"),
    ("Boundary", "runtime/src", "CancelScope"),
    ("Outlook", "runtime/src", "CancelState"),
    ("throw_to", "runtime/src", "unwind_to"),
    ("acknowledge", "runtime/src", "begin_cancellation"),
    ("has_obeyed", "runtime/src", "is_cancelling"),
    ("whereabouts", "runtime/src", "owner"),
    ("aim", "runtime/src", "attach"),
    ("move_in", "runtime/src", "register"),
    ("move_out", "runtime/src", "unregister"),
    ("unsettle", "runtime/src", "detach_stack"),
    ("let_go", "runtime/src", "release"),
    ("Members", "runtime/src", "ScopeFibers"),
    ("Roll", "runtime/src", "Slots"),
    ("Place", "runtime/src", "Entry"),
    ("exempt", "runtime/src", "uncancellable"),
    ("anchored", "runtime/src", "pinned"),
    ("SPREADS", "runtime/src", "DISTRIBUTED"),
    ("refuse_leftovers", "runtime/src", "abort_leftovers"),
    ("Visit", "runtime/src", "RuntimeGuard"),
    ("visits", "runtime/src/scheduler", "epoch"),
    ("Agenda", "runtime/src", "CallbackQueue"),
    ("doom", "runtime/src", "terminate, pending exit"),
    ("mail", "runtime/src/actor", "messages"),
    ("Arm", "runtime/src/io", "Registration"),
    ("disarm", "runtime/src/net", "unregister"),
    ("Looking", "runtime/src/io", "Peek"),
    ("Seat", "runtime/src", "IdleThread"),
    ("Ender", "runtime/src", "a word that says what it ends"),
    ("errand", "runtime/src/scheduler", "waker fiber"),
    ("Errand", "runtime/src/scheduler", "WakeOnDrop"),
    ("ballast", "runtime/src", "panic count"),
    ("Ballast", "runtime/src", "UnwindingStack"),
    ("tidying", "runtime/src", "scavenger"),
    ("Tidying", "runtime/src", "Scavenger"),
    ("Idling", "runtime/src", "HubState"),
    ("give_way", "runtime/src", "yield"),
    ("gives_way", "tests", "yields"),
    ("InVain", "runtime/src", "TryFailed"),
    ("ANCHORED", "runtime/src", "PINNED"),
    ("Glimpse", "runtime/src", "FiberSnapshot"),
    ("boundary", "runtime/src/cell", "cancel scope"),
    ("note_calm", "runtime/src", "note_own_waker"),
    ("obeyable", "runtime/src", "deliverable"),
    ("is_obeyed", "runtime/src", "is_cancelling"),
    ("doze", "runtime/src", "begin_sleep"),
    ("dozes", "runtime/src", "falls asleep"),
    ("Whom", "runtime/src/scheduler", "TraceTarget"),
    ("quietly", "runtime/src/os", "without_sigpipe"),
    ("twin", "runtime/src", "with_shared_settings"),
    ("InKernel", "runtime/src", "NonblockingGuard"),
    ("has_place", "runtime/src/channel", "has_room"),
    ("may_linger", "runtime/src/channel", "should_spin"),
    ("Room", "runtime/src/channel", "LockEntry"),
    ("Withdrawal", "runtime/src/channel", "Unregister"),
    ("broken", "runtime/src/channel", "abandoned"),
    ("HAND_OVER", "runtime/src", "HANDOFF"),
    ("impatient", "runtime/src/sync", "starving"),
    ("PATIENCE", "runtime/src/sync", "STARVATION_THRESHOLD"),
    ("settle", "runtime/src/sync", "done"),
    ("anyone_asleep", "runtime/src", "has_sleepers"),
    ("Ward", "runtime/src/process", "OwnedChild"),
    ("ward", "runtime/src/process", "child"),
    ("Nursery", "runtime/src/process", "Orphans"),
    ("Sitter", "runtime/src/process", "Reaper"),
    ("see_off", "runtime/src/runtime", "stop"),
    ("enrolled", "runtime/src/cancel", "registered"),
    ("roll", "runtime/src/fiber", "slots"),
    ("Teller", "asm", "EndFlag"),
    ("doomed", "asm", "retired"),
    ("CancelToken", "", "CancellationToken"),
    ("Gauges", "", "Metrics"),
    ("zoo", "benches", "models"),
    ("burn", "benches", "busy loop"),
];

/// Whether `text` has `word` as a word of its own.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part))
}

#[test]
fn words_are_told_from_parts_of_words() {
    assert!(has_word("a bed.", "bed") && has_word("self.bed", "bed"));
    assert!(!has_word("embedded", "bed") && !has_word("bed_time", "bed"));
}

fn all_files() -> impl Iterator<Item = File> {
    ["runtime", "asm", "benches", "examples"].into_iter().flat_map(rust_files)
}

#[test]
fn old_words_are_not_used() {
    let mut wrong = Vec::new();
    for file in all_files() {
        for (word, place, instead) in OLD {
            if file.path.starts_with(place) && has_word(&file.text, word) {
                wrong.push(format!("{}: `{word}`: {instead}", file.path));
            }
        }
    }
    assert_none(&wrong, "these words are no longer ours; the one to use is beside each");
}
