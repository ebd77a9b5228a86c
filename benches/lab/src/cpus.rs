//! Which CPUs a process runs on.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The calling thread, and all that it starts from now on, runs on this CPU only.
///
/// # Errors
///
/// There is no such CPU, or it is not one that this process may run on.
pub fn run_on(cpu: usize) -> io::Result<()> {
    if cpu >= CpuSet::MAX_CPU {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

/// The calling thread, and all that it starts from now on, leaves one CPU to others; which one.
///
/// # Errors
///
/// There is only one.
pub fn set_one_aside() -> io::Result<usize> {
    let mut set = sched_getaffinity(None)?;
    if set.count() < 2 {
        return Err(io::Error::other("the model and the generator need a CPU each, and there is one in all"));
    }
    let aside = (0..CpuSet::MAX_CPU).find(|cpu| set.is_set(*cpu)).ok_or(io::ErrorKind::NotFound)?;
    set.unset(aside);
    sched_setaffinity(None, &set)?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_several_cpus_is_left_to_others() {
        // In a thread of its own, which takes its setting along when it ends.
        let test = || {
            let before = sched_getaffinity(None).expect("there is a set");
            match set_one_aside() {
                Ok(aside) => {
                    let after = sched_getaffinity(None).expect("there is a set");
                    assert!(before.is_set(aside) && !after.is_set(aside));
                    assert_eq!(after.count(), before.count() - 1);
                    run_on(aside).expect("it is there");
                    assert_eq!(std::thread::available_parallelism().expect("it is known").get(), 1);
                }
                Err(_) => assert_eq!(before.count(), 1),
            }
            assert!(run_on(usize::MAX).is_err());
        };
        std::thread::spawn(test).join().expect("no panic");
    }
}
