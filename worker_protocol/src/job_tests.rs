use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[test]
fn hooks_are_called_once_the_job_is_abandoned_or_at_once() {
    let token = CancelToken::new();
    let (sender, receiver) = std::sync::mpsc::channel();
    let hook = |name: &'static str| {
        let sender = sender.clone();
        move || sender.send(name).unwrap()
    };
    token.on_abandon(hook("before"));
    assert!(receiver.try_recv().is_err());
    token.abandon();
    token.abandon();
    token.on_abandon(hook("after"));
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), ["before", "after"]);
}

#[test]
fn nothing_is_published_after_abandon() {
    let token = CancelToken::new();
    assert_eq!(token.publish(|| 5), Ok(5));
    token.clone().abandon();
    assert_eq!(token.publish(|| unreachable!("published")), Err::<(), _>(Abandoned));
    assert_eq!(token.check(), Err(Abandoned));
}

#[test]
fn abandon_waits_for_a_publish_that_has_begun() {
    let token = CancelToken::new();
    let published = AtomicBool::new(false);
    let (begun, begins) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            token.publish(|| {
                begun.send(()).unwrap();
                while !token.is_abandoned() {
                    std::thread::yield_now();
                }
                published.store(true, Ordering::SeqCst);
            })
        });
        begins.recv().unwrap();
        token.abandon();
        assert!(published.load(Ordering::SeqCst));
    });
}

#[test]
fn a_panic_while_publishing_leaves_the_token_usable() {
    let token = CancelToken::new();
    let panicked = catch(|| token.publish(|| panic!("half way")));
    assert_eq!(panicked.map(|_: Result<(), _>| ()), Err("half way".to_owned()));
    assert_eq!(token.publish(|| 1), Ok(1));
    token.abandon();
}

#[test]
fn a_handler_is_not_called_for_what_is_abandoned_already() {
    let context = Context::new(1);
    let outcome = context.finish(|| Ok(Reply::default()));
    assert_eq!(outcome, Outcome::Replied(Reply::default()));
    context.token().abandon();
    assert_eq!(context.finish(|| Ok(Reply::default())), Outcome::Abandoned);
}

#[test]
fn what_was_said_stands_before_the_reply_and_before_a_failure() {
    for (ended, code, text) in [
        (Ok(Reply::text("done")), 0, "said \u{fffd} done"),
        (Err(Error::from(io::Error::other("bad"))), 1, "said \u{fffd} bad\n"),
    ] {
        let context = Context::new(1);
        context.output().write_all(b"said \xff ").unwrap();
        let Outcome::Replied(reply) = context.finish(|| ended) else { panic!("no reply") };
        assert_eq!((reply.exit_code, &*reply.output), (code, text));
    }
}

#[test]
fn the_message_of_any_panic_is_found() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    assert_eq!(catch(|| panic!("plain")), Err::<(), _>("plain".to_owned()));
    assert_eq!(catch(|| panic!("number {}", 5)), Err::<(), _>("number 5".to_owned()));
    let unknown = catch(|| panic::panic_any(Bomb));
    assert_eq!(unknown, Err::<(), _>("(no message)".to_owned()));
}
