//! Counters and histograms, each a family of series with the same labels.

use super::exposition::Exposition;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The number of series of a family. What comes after them is not counted. The labels are names of the source, and a
/// process meets a few dozen combinations.
const MOST: usize = 256;

/// The series of a family, by the values of their labels. Series are only added, so reading takes no lock.
struct Table<const L: usize, V>([OnceLock<([&'static str; L], V)>; MOST]);

impl<const L: usize, V: Default> Table<L, V> {
    const fn new() -> Self {
        Self([const { OnceLock::new() }; MOST])
    }

    fn get(&self, labels: [&'static str; L]) -> Option<&V> {
        // Another thread may have taken the place with other labels meanwhile.
        let places = self.0.iter().map(|place| place.get_or_init(|| (labels, V::default())));
        let mut places = places.filter(|(own, _)| *own == labels);
        places.next().map(|(_, value)| value)
    }

    fn iter(&self) -> impl Iterator<Item = &([&'static str; L], V)> {
        self.0.iter().map_while(OnceLock::get)
    }

    /// Returns the series in the order of their labels.
    fn sorted(&self) -> Vec<&([&'static str; L], V)> {
        let mut all: Vec<_> = self.iter().collect();
        all.sort_by_key(|(labels, _)| *labels);
        all
    }
}

/// A number of events.
pub struct Counter<const L: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; L],
    series: Table<L, AtomicU64>,
}

impl<const L: usize> Counter<L> {
    /// Creates a counter. `name` lacks the suffix `_total`.
    pub const fn new(name: &'static str, help: &'static str, labels: [&'static str; L]) -> Self {
        Self { name, help, labels, series: Table::new() }
    }

    /// Counts an event.
    pub fn add(&self, labels: [&'static str; L]) {
        if let Some(count) = self.series.get(labels) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns whether there was an event.
    pub fn has_events(&self) -> bool {
        self.series.iter().any(|(_, count)| count.load(Ordering::Relaxed) > 0)
    }

    /// Forgets all events. Takes no lock.
    pub fn reset(&self) {
        self.series.iter().for_each(|(_, count)| count.store(0, Ordering::Relaxed));
    }

    /// Writes all series.
    pub fn write_to(&self, text: &mut Exposition) {
        text.family(self.name, "counter", self.help);
        // A counter without labels is there from the start.
        if L == 0 {
            self.series.get(self.labels);
        }
        for (values, count) in self.series.sorted() {
            let labels: Vec<_> = self.labels.into_iter().zip(values.iter().copied()).collect();
            text.sample(&format!("{}_total", self.name), &labels, count.load(Ordering::Relaxed));
        }
    }
}

/// The upper limits of the buckets, in milliseconds and as the text of seconds. Above them is the bucket `+Inf`.
const BUCKETS: [(u64, &str); 12] = [
    (5, "0.005"),
    (10, "0.01"),
    (25, "0.025"),
    (50, "0.05"),
    (100, "0.1"),
    (250, "0.25"),
    (500, "0.5"),
    (1_000, "1.0"),
    (2_500, "2.5"),
    (5_000, "5.0"),
    (10_000, "10.0"),
    (30_000, "30.0"),
];

/// How long events took.
pub struct Histogram<const L: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; L],
    series: Table<L, Durations>,
}

#[derive(Default)]
struct Durations {
    /// The number of events in each bucket alone. The last bucket is `+Inf`.
    buckets: [AtomicU64; BUCKETS.len() + 1],
    microseconds: AtomicU64,
}

impl<const L: usize> Histogram<L> {
    /// Creates a histogram. `name` has the suffix `_seconds`.
    pub const fn new(name: &'static str, help: &'static str, labels: [&'static str; L]) -> Self {
        Self { name, help, labels, series: Table::new() }
    }

    /// Records an event.
    pub fn record(&self, labels: [&'static str; L], took: Duration) {
        let Some(series) = self.series.get(labels) else { return };
        let fits = |(limit, _): &(u64, &str)| took <= Duration::from_millis(*limit);
        let bucket = BUCKETS.iter().position(fits).unwrap_or(BUCKETS.len());
        if let Some(count) = series.buckets.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        series.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    /// Forgets all events. Takes no lock.
    pub fn reset(&self) {
        for (_, series) in self.series.iter() {
            series.buckets.iter().chain([&series.microseconds]).for_each(|count| count.store(0, Ordering::Relaxed));
        }
    }

    /// Writes all series.
    pub fn write_to(&self, text: &mut Exposition) {
        text.family(self.name, "histogram", self.help);
        text.unit(self.name, "seconds");
        for (values, series) in self.series.sorted() {
            let labels: Vec<_> = self.labels.into_iter().zip(values.iter().copied()).collect();
            let mut count = 0;
            let limits = BUCKETS.iter().map(|(_, limit)| *limit).chain(["+Inf"]);
            for (limit, bucket) in limits.zip(&series.buckets) {
                count += bucket.load(Ordering::Relaxed);
                text.sample(&format!("{}_bucket", self.name), &[&labels[..], &[("le", limit)]].concat(), count);
            }
            let seconds = Duration::from_micros(series.microseconds.load(Ordering::Relaxed)).as_secs_f64();
            text.sample(&format!("{}_sum", self.name), &labels, format_args!("{seconds:?}"));
            text.sample(&format!("{}_count", self.name), &labels, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(write: impl Fn(&mut Exposition)) -> Vec<String> {
        let mut text = Exposition::new(&[]);
        write(&mut text);
        text.finish().lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn a_counter_has_a_series_for_each_combination() {
        static EVENTS: Counter<2> = Counter::new("events", "", ["kind", "outcome"]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        EVENTS.add(["b", "ok"]);
                        EVENTS.add(["a", "no"]);
                        EVENTS.add(["a", "ok"]);
                    }
                });
            }
        });
        let series = |count| {
            ["a\",outcome=\"no", "a\",outcome=\"ok", "b\",outcome=\"ok"]
                .map(|labels| format!("events_total{{kind=\"{labels}\"}} {count}"))
        };
        assert_eq!(lines(|text| EVENTS.write_to(text)), series(4000));
        assert!(EVENTS.has_events());
        EVENTS.reset();
        assert!(!EVENTS.has_events());
        assert_eq!(lines(|text| EVENTS.write_to(text)), series(0));
    }

    #[test]
    fn what_comes_after_the_last_place_is_not_counted() {
        static EVENTS: Counter<1> = Counter::new("events", "", ["kind"]);
        for number in 0..MOST + 10 {
            EVENTS.add([Box::leak(number.to_string().into_boxed_str())]);
        }
        assert_eq!(lines(|text| EVENTS.write_to(text)).len(), MOST);
    }

    #[test]
    fn the_buckets_of_a_histogram_are_cumulative() {
        static TIMES: Histogram<1> = Histogram::new("times_seconds", "", ["kind"]);
        for milliseconds in [5, 6, 400, 30_000, 30_001] {
            TIMES.record(["a"], Duration::from_millis(milliseconds));
        }
        let bucket = |(limit, count)| format!("times_seconds_bucket{{kind=\"a\",le=\"{limit}\"}} {count}");
        let buckets = [
            ("0.005", 1),
            ("0.01", 2),
            ("0.025", 2),
            ("0.05", 2),
            ("0.1", 2),
            ("0.25", 2),
            ("0.5", 3),
            ("1.0", 3),
            ("2.5", 3),
            ("5.0", 3),
            ("10.0", 3),
            ("30.0", 4),
            ("+Inf", 5),
        ];
        let mut expected: Vec<_> = buckets.into_iter().map(bucket).collect();
        expected.push("times_seconds_sum{kind=\"a\"} 60.412".to_owned());
        expected.push("times_seconds_count{kind=\"a\"} 5".to_owned());
        assert_eq!(lines(|text| TIMES.write_to(text)), expected);
    }
}
