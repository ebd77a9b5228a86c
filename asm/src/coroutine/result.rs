//! What a resumption comes back with.

/// The result of [`Coroutine::resume`](super::Coroutine::resume).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CoroutineResult<Yield, Return> {
    /// The coroutine suspended with this value. It can be resumed.
    Yield(Yield),
    /// The coroutine ended with this value. It cannot be resumed any more.
    Return(Return),
}

impl<Yield, Return> CoroutineResult<Yield, Return> {
    /// The value that the coroutine suspended with, if it did.
    ///
    /// ```
    /// # use abaca_asm as abaca;
    /// use abaca::coroutine::CoroutineResult;
    /// assert_eq!(CoroutineResult::<u32, ()>::Yield(3).into_yield(), Some(3));
    /// assert_eq!(CoroutineResult::<u32, ()>::Return(()).into_yield(), None);
    /// ```
    pub fn into_yield(self) -> Option<Yield> {
        match self {
            Self::Yield(value) => Some(value),
            Self::Return(_) => None,
        }
    }

    /// The value that the coroutine ended with, if it did.
    ///
    /// ```
    /// # use abaca_asm as abaca;
    /// use abaca::coroutine::CoroutineResult;
    /// assert_eq!(CoroutineResult::<(), u32>::Return(3).into_return(), Some(3));
    /// assert_eq!(CoroutineResult::<(), u32>::Yield(()).into_return(), None);
    /// ```
    pub fn into_return(self) -> Option<Return> {
        match self {
            Self::Yield(_) => None,
            Self::Return(value) => Some(value),
        }
    }
}
