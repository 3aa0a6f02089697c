//! What a fan-out gives: every branch's result or its error, in the order in which the branches were given.

use greenroom_core::fanout::Verdict;

use crate::fan_out::branch::BranchError;

/// What became of every branch of a fan-out, by position.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Gathered<R, E = std::convert::Infallible> {
    pub(super) verdict: Verdict,
    pub(super) ended: Vec<usize>,
    pub(super) results: Vec<Result<R, BranchError<E>>>,
}

impl<R, E> Gathered<R, E> {
    /// How the fan-out ended.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The positions of the branches that ended by themselves, in the order in which they ended. The winner of
    /// a race is the first of them.
    #[must_use]
    pub fn ended(&self) -> &[usize] {
        &self.ended
    }

    /// What became of every branch, in the order in which the branches were given.
    #[must_use = "it is all that the fan-out gives"]
    pub fn results(&self) -> &[Result<R, BranchError<E>>] {
        &self.results
    }

    /// As [`Gathered::results`], as owned values.
    #[must_use]
    pub fn into_results(self) -> Vec<Result<R, BranchError<E>>> {
        self.results
    }

    /// What the branches gave that succeeded, in the order in which the branches were given.
    pub fn values(&self) -> impl Iterator<Item = &R> {
        self.results.iter().filter_map(|result| result.as_ref().ok())
    }

    /// As [`Gathered::values`], as owned values.
    #[must_use]
    pub fn into_values(self) -> Vec<R> {
        self.results.into_iter().filter_map(Result::ok).collect()
    }

    /// The branches that have no result, with their positions and the reasons.
    pub fn errors(&self) -> impl Iterator<Item = (usize, &BranchError<E>)> {
        self.results.iter().enumerate().filter_map(|(i, result)| Some((i, result.as_ref().err()?)))
    }

    /// Every result, or why there is not every one.
    ///
    /// # Errors
    ///
    /// The error of the branch that was the first to fail; when none did, the first one by position.
    pub fn all(&self) -> Result<Vec<&R>, &BranchError<E>> {
        match self.cause() {
            Some(i) => self.results[i].as_ref().map(|_| Vec::new()),
            None => Ok(self.values().collect()),
        }
    }

    /// As [`Gathered::all`], as owned values.
    ///
    /// # Errors
    ///
    /// As [`Gathered::all`].
    pub fn into_all(mut self) -> Result<Vec<R>, BranchError<E>> {
        match self.cause() {
            Some(i) => self.results.swap_remove(i).map(|_| Vec::new()),
            None => Ok(self.into_values()),
        }
    }

    /// What the branch gave that was the first to succeed.
    ///
    /// # Errors
    ///
    /// When none succeeded: the error of the branch that was the first to fail. When none did that either, the
    /// first one by position, and [`BranchError::NotStarted`] when there are no branches.
    pub fn first(&self) -> Result<&R, &BranchError<E>> {
        self.results.get(self.chosen()).map_or(Err(&BranchError::NotStarted), Result::as_ref)
    }

    /// As [`Gathered::first`], as an owned value.
    ///
    /// # Errors
    ///
    /// As [`Gathered::first`].
    pub fn into_first(mut self) -> Result<R, BranchError<E>> {
        let chosen = self.chosen();
        if chosen < self.results.len() {
            self.results.swap_remove(chosen)
        } else {
            Err(BranchError::NotStarted)
        }
    }

    /// The failure that there is not everything because of.
    fn cause(&self) -> Option<usize> {
        let failed = |i: &usize| self.results[*i].is_err();
        let first = self.ended.iter().copied().find(failed);
        first.or_else(|| self.results.iter().position(Result::is_err))
    }

    /// The position of the result that counts, if there are branches.
    fn chosen(&self) -> usize {
        let succeeded = |i: &usize| self.results[*i].is_ok();
        let first = self.ended.iter().copied().find(succeeded);
        first.or_else(|| self.cause()).unwrap_or(0)
    }
}
