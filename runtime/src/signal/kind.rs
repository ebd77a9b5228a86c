//! The signals that can be waited for: those that a program may catch and that report something from outside of it.

use std::fmt;

use crate::os::arrivals;

/// A signal that can be waited for. Faults (SIGSEGV and its like) cannot, nor can signals that cannot be caught (SIGKILL,
/// SIGSTOP).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Signal {
    /// SIGHUP: the terminal is gone. Daemons take it as a request to read their configuration again.
    Hangup,
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGQUIT: Ctrl-\.
    Quit,
    /// SIGUSR1: its meaning is the program's own.
    User1,
    /// SIGUSR2: its meaning is the program's own.
    User2,
    /// SIGPIPE: a write to a pipe without readers.
    Pipe,
    /// SIGALRM: a timer of alarm(2) has fired.
    Alarm,
    /// SIGTERM: a request to end.
    Terminate,
    /// SIGCHLD: a child has ended or stopped.
    Child,
    /// SIGCONT: the process goes on after it was stopped.
    Continue,
    /// SIGWINCH: the terminal has another size.
    WindowChange,
}

impl Signal {
    /// The signal's number on this architecture.
    ///
    /// ```
    /// assert_eq!(abaca::signal::Signal::Interrupt.number(), 2);
    /// ```
    pub fn number(self) -> i32 {
        match self {
            Self::Hangup => arrivals::HANGUP,
            Self::Interrupt => arrivals::INTERRUPT,
            Self::Quit => arrivals::QUIT,
            Self::User1 => arrivals::USER_1,
            Self::User2 => arrivals::USER_2,
            Self::Pipe => arrivals::PIPE,
            Self::Alarm => arrivals::ALARM,
            Self::Terminate => arrivals::TERMINATE,
            Self::Child => arrivals::CHILD,
            Self::Continue => arrivals::CONTINUE,
            Self::WindowChange => arrivals::WINDOW_CHANGE,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            Self::Interrupt => "SIGINT",
            Self::Quit => "SIGQUIT",
            Self::User1 => "SIGUSR1",
            Self::User2 => "SIGUSR2",
            Self::Pipe => "SIGPIPE",
            Self::Alarm => "SIGALRM",
            Self::Terminate => "SIGTERM",
            Self::Child => "SIGCHLD",
            Self::Continue => "SIGCONT",
            Self::WindowChange => "SIGWINCH",
        }
    }
}

/// The name of the signal, such as `SIGINT`.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
