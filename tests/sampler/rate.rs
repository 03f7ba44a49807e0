//! How often: as it was written, or as often as this machine's ticks take 0.5 % of a thread.

use super::*;

#[test]
fn a_rate_that_nobody_has_written_follows_from_what_a_tick_takes_here() {
    alone(|| {
        let before = Counts::now();
        let exact = Probe::start(300, CpuSignal::Urg, MAX_THREADS).unwrap();
        assert_eq!(exact.fit_rate(), (300, 0), "there is nothing to find out");
        drop(exact);

        let probe = Probe::start_at_most(HZ, CpuSignal::Urg, MAX_THREADS).unwrap();
        let (hz, cost) = probe.fit_rate();
        println!("a tick takes {cost} ns: {hz} Hz");
        assert!(cost > 0);
        assert_eq!(u64::from(hz), (1_000_000_000 / (200 * cost)).clamp(99, u64::from(HZ)));
        assert_eq!(probe.fit_rate(), (hz, cost), "measured once");
        let counts = Counts::now().since(before);
        assert_eq!((counts.taken, counts.stale_ticks, counts.lost_ticks), (0, 0, 0), "its ticks are nobody's");
        assert!(timers().is_none_or(|timers| timers == 0), "and its timer is gone");

        // The highest of all holds, and a later agent knows it from the start.
        let exact = Probe::start(2_000, CpuSignal::Urg, MAX_THREADS).unwrap();
        assert_eq!(probe.fit_rate(), (2_000, cost));
        drop(exact);
        assert_eq!(probe.fit_rate(), (hz, cost));
        drop(probe);
        let probe = Probe::start_at_most(HZ, CpuSignal::Urg, MAX_THREADS).unwrap();
        assert!(poll_until(&probe, 1, |taken| taken >= 20) >= 20);
        assert_eq!(probe.fit_rate(), (hz, cost));
    });
}
