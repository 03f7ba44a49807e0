//! Medians and their 95 % intervals.

/// A median with its 95 % interval.
#[derive(Debug, Clone, Copy)]
pub struct Estimate {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Estimate {
    /// From at least one sample. The interval is that of the order statistics: it assumes nothing about how the
    /// samples are distributed.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = samples.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (count, last) = (sorted.len() as f64, sorted.len() - 1);
        let half_width = 1.96 * count.sqrt() / 2.0;
        let rank = |rank: f64| sorted[(rank.max(0.0) as usize).min(last)];
        Self {
            median: (rank((count - 1.0) / 2.0) + rank(count / 2.0)) / 2.0,
            low: rank(count / 2.0 - half_width),
            high: rank(count / 2.0 + half_width),
        }
    }
}
