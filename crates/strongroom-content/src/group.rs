//! Work that comes while other work of its kind is under way, and is then done together: what databases call group commit.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{BoxFuture, Shared};

/// Work under way. Whoever waits for it drives it; when nobody does any more, it is given up.
pub(crate) type Running<R> = Shared<BoxFuture<'static, R>>;

/// Gathers work of one kind into groups, of which one at a time is done.
pub(crate) struct Groups<T, R: Clone> {
    state: Mutex<State<T, R>>,
}

struct State<T, R: Clone> {
    /// The group that takes more work.
    open: Option<Arc<Group<T, R>>>,
    /// Ready when what is under way is over, or was given up. It does not keep it alive.
    over: Option<Shared<oneshot::Receiver<()>>>,
}

/// Work that is done together.
pub(crate) struct Group<T, R: Clone>(Mutex<Work<T, R>>);

enum Work<T, R: Clone> {
    Gathered(Option<T>),
    Begun(Running<R>),
}

impl<T, R: Clone> Default for Groups<T, R> {
    fn default() -> Self {
        Self { state: Mutex::new(State { open: None, over: None }) }
    }
}

impl<T, R: Clone + Send + Sync + 'static> Groups<T, R> {
    /// Adds work to the group that is open, or to a `new` one.
    pub(crate) fn add<X, E>(
        &self,
        new: impl FnOnce() -> Result<T, E>,
        add: impl FnOnce(&mut T) -> X,
    ) -> Result<(X, Arc<Group<T, R>>), E> {
        let mut state = self.state();
        if let Some(group) = &state.open
            && let Work::Gathered(Some(gathered)) = &mut *group.work()
        {
            return Ok((add(gathered), group.clone()));
        }
        let mut gathered = new()?;
        let added = add(&mut gathered);
        let group = Group::of(gathered);
        state.open = Some(group.clone());
        Ok((added, group))
    }

    /// Work that nothing joins, to be done in its turn.
    pub(crate) fn alone(work: T) -> Arc<Group<T, R>> {
        Group::of(work)
    }

    /// Begins with a group now, beside what is under way. Nothing more joins it.
    pub(crate) fn begin(&self, group: &Arc<Group<T, R>>, begin: impl FnOnce(T) -> BoxFuture<'static, R>) -> Running<R> {
        let mut state = self.state();
        close(&mut state, group);
        group.begin(begin)
    }

    /// Waits until a group is done; begins with it when what is under way is over.
    pub(crate) async fn done(&self, group: &Arc<Group<T, R>>, begin: impl FnOnce(T) -> BoxFuture<'static, R>) -> R {
        let mut begin = Some(begin);
        loop {
            let next = self.begin_if_next(group, &mut begin);
            match next {
                Ok(running) => return running.await,
                // Whether it came to its end or was given up: its turn is over.
                Err(before) => before.await.unwrap_or_default(),
            }
        }
    }

    /// Begins with a group unless other work is under way: then that it is over is to be waited for.
    fn begin_if_next(
        &self,
        group: &Arc<Group<T, R>>,
        begin: &mut Option<impl FnOnce(T) -> BoxFuture<'static, R>>,
    ) -> Result<Running<R>, Shared<oneshot::Receiver<()>>> {
        let mut state = self.state();
        if let Some(running) = group.running() {
            return Ok(running);
        }
        if let Some(before) = state.over.clone()
            && before.clone().now_or_never().is_none()
        {
            return Err(before);
        }
        let (alive, over) = oneshot::channel();
        state.over = Some(over.shared());
        close(&mut state, group);
        let begin = begin.take().expect("who comes here waits for its own group, which it begins once");
        Ok(group.begin(|work| {
            let running = begin(work);
            async move {
                let _alive: oneshot::Sender<()> = alive;
                running.await
            }
            .boxed()
        }))
    }

    fn state(&self) -> MutexGuard<'_, State<T, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nothing more joins `group`.
fn close<T, R: Clone>(state: &mut State<T, R>, group: &Arc<Group<T, R>>) {
    state.open.take_if(|open| Arc::ptr_eq(open, group));
}

impl<T, R: Clone> Group<T, R> {
    fn of(work: T) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Work::Gathered(Some(work)))))
    }

    fn begin(&self, begin: impl FnOnce(T) -> BoxFuture<'static, R>) -> Running<R> {
        let mut work = self.work();
        match &mut *work {
            Work::Begun(running) => running.clone(),
            Work::Gathered(gathered) => {
                let gathered = gathered.take().expect("it is taken when the group is begun, and only then");
                let running = begin(gathered).shared();
                *work = Work::Begun(running.clone());
                running
            }
        }
    }

    /// The work, if it was begun.
    pub(crate) fn running(&self) -> Option<Running<R>> {
        match &*self.work() {
            Work::Begun(running) => Some(running.clone()),
            Work::Gathered(_) => None,
        }
    }

    fn work(&self) -> MutexGuard<'_, Work<T, R>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, R: Clone> fmt::Debug for Groups<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups").finish_non_exhaustive()
    }
}

impl<T, R: Clone> fmt::Debug for Group<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::channel::oneshot;
    use futures::future::join_all;

    use super::*;

    type Sums = Groups<Vec<u32>, u32>;

    fn join(groups: &Sums, number: u32) -> Arc<Group<Vec<u32>, u32>> {
        let added = groups.add::<_, Infallible>(|| Ok(Vec::new()), |numbers| numbers.push(number));
        added.expect("nothing can fail").1
    }

    fn sum(numbers: Vec<u32>) -> BoxFuture<'static, u32> {
        async move { numbers.iter().sum() }.boxed()
    }

    #[tokio::test]
    async fn what_comes_while_other_work_is_under_way_is_done_together() {
        let groups = Sums::default();
        let (finish, finished) = oneshot::channel::<()>();
        let first = join(&groups, 1);
        let begun = groups.done(&first, |numbers| {
            async move {
                finished.await.expect("it is finished");
                numbers.iter().sum()
            }
            .boxed()
        });
        let mut begun = std::pin::pin!(begun);
        assert!(futures::poll!(&mut begun).is_pending());
        let others: Vec<_> = (2..5).map(|number| join(&groups, number)).collect();
        let others = others.iter().map(|group| groups.done(group, sum));
        finish.send(()).expect("somebody waits");
        let (first, others) = futures::join!(begun, join_all(others));
        assert_eq!((first, others), (1, vec![9, 9, 9]));
    }

    #[tokio::test]
    async fn work_whose_first_waiter_goes_away_is_done_by_the_others() {
        let groups = Sums::default();
        let (finish, finished) = oneshot::channel::<()>();
        let (one, two) = (join(&groups, 1), join(&groups, 2));
        {
            let waits = groups.done(&one, |numbers| {
                async move {
                    finished.await.expect("it is finished");
                    numbers.iter().sum()
                }
                .boxed()
            });
            let mut waits = std::pin::pin!(waits);
            assert!(futures::poll!(&mut waits).is_pending());
        }
        finish.send(()).expect("the work is still there");
        assert_eq!(groups.done(&two, sum).await, 3);
        let next = join(&groups, 5);
        assert_eq!(groups.done(&next, sum).await, 5);
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_given_up_and_keeps_nobody_waiting() {
        let groups = Sums::default();
        {
            let stuck = join(&groups, 1);
            let mut waits = std::pin::pin!(groups.done(&stuck, |_| futures::future::pending().boxed()));
            assert!(futures::poll!(&mut waits).is_pending());
            let next = join(&groups, 2);
            assert!(futures::poll!(std::pin::pin!(groups.done(&next, sum))).is_pending());
        }
        // What was gathered meanwhile is still there.
        let next = join(&groups, 5);
        assert_eq!(groups.done(&next, sum).await, 7);
    }

    #[tokio::test]
    async fn work_that_is_begun_at_once_takes_nothing_more() {
        let groups = Sums::default();
        let full = join(&groups, 1);
        let running = groups.begin(&full, sum);
        let next = join(&groups, 2);
        assert_eq!((running.await, groups.done(&full, sum).await, groups.done(&next, sum).await), (1, 1, 2));
        let alone = Sums::alone(vec![7]);
        let open = join(&groups, 3);
        assert_eq!((groups.done(&alone, sum).await, groups.done(&open, sum).await), (7, 3));
    }
}
