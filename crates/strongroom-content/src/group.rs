//! Work that comes while other work of its kind is under way, and is then done together: what databases call group commit.
//!
//! No task is spawned. Whoever waits drives the work, also the work that is before its own; when one who drives goes away,
//! another goes on. Work belongs to those who hold its [`Group`]: when the last of them is gone, it is given up, whoever still
//! waits for its turn.

mod running;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use futures::FutureExt;
use futures::future::BoxFuture;

use running::{Running, Waiter};

/// Gathers work of one kind into groups, of which one at a time is done.
pub(crate) struct Groups<T, R: Clone> {
    state: Mutex<State<T, R>>,
}

struct State<T, R: Clone> {
    /// The group that takes more work.
    open: Option<Arc<Group<T, R>>>,
    running: Option<Running<R>>,
    /// Begun with beside that, and not over.
    begun: Vec<Running<R>>,
}

/// Work that is done together, for as long as somebody holds it.
pub(crate) struct Group<T, R: Clone>(Mutex<Work<T, R>>);

enum Work<T, R: Clone> {
    Gathered(Option<T>),
    Begun(Running<R>),
}

impl<T, R: Clone> Default for Groups<T, R> {
    fn default() -> Self {
        Self { state: Mutex::new(State { open: None, running: None, begun: Vec::new() }) }
    }
}

impl<T, R: Clone + Send + Sync + 'static> Groups<T, R> {
    /// Adds work to the group that is open, or to a `new` one. It stays in its group also if who added it goes away.
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
    pub(crate) fn begin(&self, group: &Arc<Group<T, R>>, begin: impl FnOnce(T) -> BoxFuture<'static, R>) {
        close(&mut self.state(), group);
        let running = group.begin(begin);
        // Asked once, the backend works while those who wait for it do something else.
        drop(running.outcome().now_or_never());
        let mut state = self.state();
        state.begun.retain(|begun| !begun.is_over());
        if !running.is_over() {
            state.begun.push(running);
        }
    }

    /// Does `work`, and meanwhile drives what was begun with, which may hold what `work` needs to go on.
    pub(crate) async fn driving<X>(&self, mut work: impl Future<Output = X> + Unpin) -> X {
        let mut driven: Vec<Waiter<R>> = Vec::new();
        std::future::poll_fn(|context| {
            if let Poll::Ready(done) = work.poll_unpin(context) {
                return Poll::Ready(done);
            }
            let mut state = self.state();
            state.begun.retain(|begun| !begun.is_over());
            for begun in &state.begun {
                if !driven.iter().any(|waiter| waiter.waits_for(begun)) {
                    driven.push(begun.outcome());
                }
            }
            drop(state);
            driven.retain_mut(|waiter| waiter.poll_unpin(context).is_pending());
            Poll::Pending
        })
        .await
    }

    /// Waits until a group is done; begins with it when what is under way is over.
    pub(crate) async fn done(&self, group: &Arc<Group<T, R>>, begin: impl FnOnce(T) -> BoxFuture<'static, R>) -> R {
        let mut begin = Some(begin);
        loop {
            let next = self.begin_if_next(group, &mut begin);
            match next {
                Ok(running) => {
                    let outcome = running.outcome().await;
                    return outcome.expect("work is not given up while its group is held, as it is here");
                }
                // Whether it came to its end or was given up: its turn is over.
                Err(before) => drop(before.outcome().await),
            }
        }
    }

    /// Begins with a group unless other work is under way, which is returned then.
    fn begin_if_next(
        &self,
        group: &Arc<Group<T, R>>,
        begin: &mut Option<impl FnOnce(T) -> BoxFuture<'static, R>>,
    ) -> Result<Running<R>, Running<R>> {
        let mut state = self.state();
        if let Some(running) = group.running() {
            return Ok(running);
        }
        if let Some(before) = state.running.clone().filter(|running| !running.is_over()) {
            return Err(before);
        }
        close(&mut state, group);
        let begin = begin.take().expect("who comes here waits for its own group, which it begins once");
        let running = group.begin(begin);
        state.running = Some(running.clone());
        Ok(running)
    }

    fn state(&self) -> MutexGuard<'_, State<T, R>> {
        lock(&self.state)
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
                let running = Running::new(begin(gathered));
                *work = Work::Begun(running.clone());
                running
            }
        }
    }

    fn running(&self) -> Option<Running<R>> {
        match &*self.work() {
            Work::Begun(running) => Some(running.clone()),
            Work::Gathered(_) => None,
        }
    }

    /// Whether it was begun with.
    pub(crate) fn is_begun(&self) -> bool {
        matches!(&*self.work(), Work::Begun(_))
    }

    fn work(&self) -> MutexGuard<'_, Work<T, R>> {
        lock(&self.0)
    }
}

impl<T, R: Clone> Drop for Group<T, R> {
    fn drop(&mut self) {
        if let Work::Begun(running) = self.0.get_mut().unwrap_or_else(PoisonError::into_inner) {
            running.give_up();
        }
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    async fn work_that_is_held_but_not_driven_by_its_own_is_driven_by_the_next() {
        let groups = Sums::default();
        let held = join(&groups, 1);
        let mut first = Box::pin(groups.done(&held, |numbers| {
            async move {
                tokio::task::yield_now().await;
                numbers.iter().sum()
            }
            .boxed()
        }));
        assert!(futures::poll!(&mut first).is_pending());
        let next = join(&groups, 2);
        assert_eq!(groups.done(&next, sum).await, 2);
        // Who only holds it, as well as who comes back to it, has what came of it.
        assert_eq!(groups.done(&held, sum).await, 1);
        assert_eq!(first.await, 1);
    }

    /// Waiters on several threads get in each other's way, and some go away.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn on_many_threads_nobody_is_forgotten() {
        let groups = Arc::new(Sums::default());
        let work = |numbers: Vec<u32>| {
            async move {
                for _ in 0..5 {
                    tokio::task::yield_now().await;
                }
                u32::try_from(numbers.len()).expect("few")
            }
            .boxed()
        };
        for _ in 0..300 {
            let tasks = (0..16).map(|number| {
                let groups = groups.clone();
                async move {
                    for round in 0..4 {
                        let group = join(&groups, number);
                        let mut done = Box::pin(groups.done(&group, work));
                        if (number + round) % 5 == 0 {
                            // It may be done at once; if not, it is given up.
                            let _ = futures::poll!(&mut done);
                            tokio::task::yield_now().await;
                            drop(done);
                        } else {
                            assert!(done.await >= 1);
                        }
                    }
                }
            });
            let all = join_all(tasks.map(spawn));
            for done in
                tokio::time::timeout(std::time::Duration::from_secs(60), all).await.expect("somebody was forgotten")
            {
                done.expect("no panic");
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "threads are what is tried")]
    fn spawn(task: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
        tokio::spawn(task)
    }

    #[tokio::test]
    async fn who_waits_for_its_turn_goes_on_when_work_is_given_up() {
        let groups = Sums::default();
        let stuck = join(&groups, 1);
        let mut first = Box::pin(groups.done(&stuck, |_| futures::future::pending().boxed()));
        assert!(futures::poll!(&mut first).is_pending());
        let next = join(&groups, 2);
        let mut waits = Box::pin(groups.done(&next, sum));
        assert!(futures::poll!(&mut waits).is_pending());
        drop(first);
        assert!(futures::poll!(&mut waits).is_pending());
        drop(stuck);
        assert_eq!(waits.await, 2);
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

    /// It may hold what others need: a turn, one of so many requests.
    #[tokio::test]
    async fn nothing_is_left_of_work_that_is_given_up() {
        let groups = Sums::default();
        let (kept, mut gone) = oneshot::channel::<()>();
        let given_up = join(&groups, 1);
        {
            let waits = groups.done(&given_up, |_| {
                async move {
                    let _kept = kept;
                    futures::future::pending().await
                }
                .boxed()
            });
            assert!(futures::poll!(std::pin::pin!(waits)).is_pending());
        }
        assert_eq!(gone.try_recv(), Ok(None), "it is held");
        drop(given_up);
        assert!(gone.try_recv().is_err(), "it is gone with what it held");
    }

    #[tokio::test]
    async fn what_was_begun_with_goes_on_while_something_is_done_that_needs_it_to() {
        let groups = Sums::default();
        let (over, is_over) = oneshot::channel();
        let full = join(&groups, 1);
        groups.begin(&full, |numbers| {
            async move {
                tokio::task::yield_now().await;
                over.send(()).expect("somebody waits");
                numbers.iter().sum()
            }
            .boxed()
        });
        let mut alone = is_over;
        assert!(futures::poll!(&mut alone).is_pending(), "nobody drives it");
        groups.driving(alone).await.expect("it is over");
        assert_eq!(groups.done(&full, sum).await, 1);
    }

    #[tokio::test]
    async fn work_that_is_begun_at_once_takes_nothing_more() {
        let groups = Sums::default();
        let full = join(&groups, 1);
        groups.begin(&full, sum);
        let next = join(&groups, 2);
        assert_eq!((full.is_begun(), next.is_begun()), (true, false));
        assert_eq!((groups.done(&full, sum).await, groups.done(&next, sum).await), (1, 2));
        let alone = Sums::alone(vec![7]);
        let open = join(&groups, 3);
        assert_eq!((groups.done(&alone, sum).await, groups.done(&open, sum).await), (7, 3));
    }
}
