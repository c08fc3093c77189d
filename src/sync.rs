//! What threads share and wait by: the standard library's, or in unit tests shuttle's, which runs
//! a test under many schedules of its threads and finds those in which they wait for ever.
//!
//! Only code whose threads wait for each other takes it from here. What a unit test of such code
//! does goes into [`explore`].

#[cfg(not(test))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, atomic},
    thread,
};

#[cfg(test)]
pub(crate) use {
    scheduled::{Condvar, explore, once},
    shuttle::sync::{Mutex, MutexGuard, atomic},
    shuttle::thread,
};

#[cfg(test)]
mod scheduled {
    use std::sync::LockResult;
    use std::time::Duration;

    use shuttle::scheduler::{PctScheduler, RandomScheduler};
    use shuttle::sync::{self, MutexGuard};
    use shuttle::{Config, Runner, thread};

    /// Runs a test under schedules of its threads: at random, and such in which one thread is left
    /// behind at a few points, where most races are.
    pub(crate) fn explore(test: impl Fn() + Clone + Send + Sync + 'static) {
        Runner::new(RandomScheduler::new(SCHEDULES), config()).run(test.clone());
        Runner::new(PctScheduler::new(3, SCHEDULES), config()).run(test);
    }

    /// Runs a test in which threads hardly meet.
    pub(crate) fn once(test: impl Fn() + Send + Sync + 'static) {
        Runner::new(RandomScheduler::new(1), config()).run(test);
    }

    fn config() -> Config {
        let mut config = Config::new();
        config.stack_size = 1 << 18;
        config
    }

    /// How many schedules of each kind a test runs under.
    const SCHEDULES: usize = 500;

    /// A condition variable in whose waits time passes at once: shuttle's own has no time.
    #[derive(Debug, Default)]
    pub(crate) struct Condvar(sync::Condvar);

    /// That a wait has ended because its time was over.
    #[derive(Debug)]
    pub(crate) struct TimedOut;

    impl TimedOut {
        #[expect(clippy::unused_self, reason = "the standard library's interface")]
        pub(crate) fn timed_out(&self) -> bool {
            true
        }
    }

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self::default()
        }

        pub(crate) fn wait<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
        ) -> LockResult<MutexGuard<'a, T>> {
            self.0.wait(guard)
        }

        pub(crate) fn wait_while<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            condition: impl FnMut(&mut T) -> bool,
        ) -> LockResult<MutexGuard<'a, T>> {
            self.0.wait_while(guard, condition)
        }

        #[expect(
            clippy::unused_self,
            clippy::unnecessary_wraps,
            reason = "the standard library's interface"
        )]
        pub(crate) fn wait_timeout<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            _time: Duration,
        ) -> LockResult<(MutexGuard<'a, T>, TimedOut)> {
            thread::yield_now();
            Ok((guard, TimedOut))
        }

        pub(crate) fn wait_timeout_while<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            time: Duration,
            _condition: impl FnMut(&mut T) -> bool,
        ) -> LockResult<(MutexGuard<'a, T>, TimedOut)> {
            self.wait_timeout(guard, time)
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}
