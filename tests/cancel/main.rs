//! `abaca::cancel`: cancellation in every blocking call, tokens, shields, scopes that fail, sets of fibers.
