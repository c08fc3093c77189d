//! Ctrl-C, and another build at once.

use xtask::processes;

use super::{Layers, SIDE_BY_SIDE, wait_until};

/// What Bazel does about a request that it gives up.
#[derive(Clone, Copy, PartialEq)]
enum Bazel {
    /// Nothing, and its number and output come again in the next build.
    Forgets,
    /// It sends a cancel.
    Cancels,
    /// It waits in the background until the request is done, which goes on in its sandbox.
    LetsItFinish,
    /// It ends the process.
    EndsTheWorker,
}

const WAYS: [(&[&str], Bazel); 4] = [
    (&[], Bazel::Forgets),
    (
        &["--experimental_worker_multiplex_sandboxing", "--experimental_worker_cancellation"],
        Bazel::Cancels,
    ),
    (&["--experimental_worker_multiplex_sandboxing"], Bazel::LetsItFinish),
    (&["--noworker_multiplex"], Bazel::EndsTheWorker),
];

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn ctrl_c_and_a_rebuild_at_once_give_the_right_layers() {
    let layers = Layers::new("interrupted");
    for (way, bazel) in WAYS {
        let options = [&SIDE_BY_SIDE[..], way].concat();
        layers.make_quick();
        layers.write("a", "one.txt", format!("before {way:?}"));
        layers.write("b", "one.txt", format!("before {way:?}"));
        // Several at once: else no multiplex worker lives on.
        layers.build(&["a", "b", "c", "slow"], &options);

        layers.write("a", "one.txt", format!("during {way:?}"));
        let (mut build, worker) = layers.busy(&["a"], &options);
        processes::signal(build.id(), "INT").unwrap();
        assert!(!build.wait().unwrap().success(), "{way:?}: Bazel has finished in spite of Ctrl-C");

        layers.make_quick();
        layers.write("a", "one.txt", format!("after {way:?}"));
        layers.write("b", "one.txt", format!("after {way:?}"));
        layers.build(&["slow", "b", "a"], &options);
        layers.check(&["a", "b", "c", "slow"]);
        let done = ["a", "b", "slow"].map(|layer| layers.states(layer));

        let lives_on = layers.workers().contains(&worker);
        assert_eq!(lives_on, bazel != Bazel::EndsTheWorker, "{way:?}");
        if bazel == Bazel::LetsItFinish {
            // Nobody has told the worker that this can stop.
            layers.scene.bazel.shut_down().unwrap();
        }
        // Whatever was given up has stopped by now, or does without touching anything.
        wait_until("the worker has stopped", || !layers.is_at_work(worker));
        assert!(done == ["a", "b", "slow"].map(|layer| layers.states(layer)), "{way:?}: touched");
        layers.check(&["a", "b", "c", "slow"]);
    }
}
