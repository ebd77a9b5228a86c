//! Promises: values that arrive later, in the manner of Lwt.
