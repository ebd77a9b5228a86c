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

/// The calling thread, and all that it starts from now on, runs on the first `count` of the CPUs that it may run on; on all of
/// them if they are fewer.
///
/// # Errors
///
/// What sched_getaffinity(2) and sched_setaffinity(2) say.
pub fn keep(count: usize) -> io::Result<()> {
    let allowed = sched_getaffinity(None)?;
    let mut kept = CpuSet::new();
    (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).take(count).for_each(|cpu| kept.set(cpu));
    Ok(sched_setaffinity(None, &kept)?)
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
    #[test]
    fn no_more_cpus_are_kept_than_there_are() {
        let test = || {
            let before = sched_getaffinity(None).expect("there is a set");
            keep(CpuSet::MAX_CPU).expect("all of them");
            assert_eq!(sched_getaffinity(None).expect("there is a set"), before);
            keep(1).expect("the first");
            assert_eq!(sched_getaffinity(None).expect("there is a set").count(), 1);
        };
        std::thread::spawn(test).join().expect("no panic");
    }
}
