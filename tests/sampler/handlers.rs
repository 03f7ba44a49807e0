//! The signal has other users: handlers from before and on top, the default action, threads that block it.

use flame_on::__sampler::host::{Manners, block, foreign_calls, install_foreign, raise, reset};

use super::*;

#[test]
fn a_handler_from_before_gets_all_that_is_not_ours() {
    alone(|| {
        let before_all = install_foreign(SIGURG, Manners::Eats);
        let probe = start();
        let (calls, counts) = (foreign_calls(), Counts::now());
        // In the middle of ticks. Such a signal is not queued: one that is raised just when a tick is on its way is one with
        // it, so how many come is not known, only where they go.
        let taken = poll_until(&probe, 1, |taken| {
            raise(SIGURG);
            taken >= 20
        });
        assert!(taken >= 20);
        assert_eq!(Counts::now().since(counts).chained, foreign_calls() - calls);
        // Between ticks: all of them come.
        let (calls, counts) = (foreign_calls(), Counts::now());
        for _ in 0..20 {
            let_the_timer_rest(&probe);
            raise(SIGURG);
        }
        assert_eq!((Counts::now().since(counts).chained, foreign_calls() - calls), (20, 20));
        drop(probe);
        raise(SIGURG);
        assert_eq!(foreign_calls() - calls, 21, "it is back in its place");
        before_all.restore();
    });
}

#[test]
fn a_handler_on_top_that_chains_takes_nothing_and_survives_restarts() {
    alone(|| {
        let before_all = host::Disposition::of(SIGURG);
        let probe = start();
        install_foreign(SIGURG, Manners::Chains);
        assert!(poll_until(&probe, 1, |taken| taken >= 20) >= 20);
        drop(probe);
        // Ours goes on top of theirs, which goes on calling our first one: not in a circle.
        for _ in 0..3 {
            let probe = start();
            let calls = foreign_calls();
            raise(SIGURG);
            assert_eq!(foreign_calls(), calls + 1);
            assert!(poll_until(&probe, 1, |taken| taken >= 20) >= 20);
        }
        before_all.restore();
    });
}

#[test]
fn a_handler_on_top_that_eats_ticks_is_reported_and_nothing_is_stuck_when_it_goes() {
    alone(|| {
        let probe = start();
        assert!(poll_until(&probe, 1, |taken| taken >= 5) >= 5);
        let ours = install_foreign(SIGURG, Manners::Eats);
        let (calls, before) = (foreign_calls(), Counts::now());
        poll_until(&probe, 1, |_| {
            probe.discard();
            Counts::now().is_handler_replaced && Counts::now().since(before).lost_ticks > 0
        });
        let counts = Counts::now().since(before);
        assert!(counts.is_handler_replaced && counts.lost_ticks > 0 && foreign_calls() > calls, "{counts:?}");
        ours.restore();
        let taken = poll_until(&probe, 1, |taken| {
            probe.discard();
            taken >= 20 && !Counts::now().is_handler_replaced
        });
        assert!(taken >= 20 && !Counts::now().is_handler_replaced);
    });
}

#[test]
fn a_default_action_that_would_kill_is_not_triggered() {
    alone(|| {
        let before_all = host::Disposition::of(SIGPROF);
        let probe = start_on(CpuSignal::Prof);
        in_thread(|| {
            assert!(poll_until(&probe, 1, |taken| taken >= 5) >= 5);
            let_the_timer_rest(&probe);
            reset(SIGPROF);
            let before = Counts::now();
            probe.poll(1, || burn(Duration::from_millis(50)));
            let counts = Counts::now().since(before);
            assert!(counts.withheld > 0 && counts.taken == 0, "{counts:?}");
        });
        drop(probe);
        before_all.restore();
    });
}

#[test]
fn a_thread_that_blocks_the_signal_has_no_samples_and_is_counted() {
    alone(|| {
        let probe = start();
        in_thread(|| {
            block(SIGURG, true);
            let before = Counts::now();
            poll_until(&probe, 1, |_| {
                probe.discard();
                Counts::now().since(before).lost_ticks > 0
            });
            let counts = Counts::now().since(before);
            assert!(counts.threads_blocking == 1 && counts.taken == 0 && counts.lost_ticks > 0, "{counts:?}");
            block(SIGURG, false);
            assert!(poll_until(&probe, 1, |taken| taken >= 10) >= 10);
        });
    });
}
