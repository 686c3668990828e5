//! Metrics as text: Prometheus' 0.0.4, and OpenMetrics 1.0.

use std::fmt::Write;

use prometheus::proto::{LabelPair, MetricFamily, MetricType};

/// What a scraper reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Prometheus,
    OpenMetrics,
}

impl Format {
    /// As an `Accept` header asks: OpenMetrics 1.0 if it is named, with no smaller weight than plain text.
    #[must_use]
    pub fn asked(accept: Option<&str>) -> Self {
        let mut best = (Self::Prometheus, 0.0);
        for asked in accept.unwrap_or_default().split(',') {
            let mut parts = asked.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let (mut weight, mut version) = (1.0, None);
            for parameter in parts {
                match parameter.split_once('=') {
                    Some(("q", q)) => weight = q.parse().unwrap_or(0.0),
                    Some(("version", named)) => version = Some(named.trim_matches('"')),
                    Some(_) | None => {}
                }
            }
            let format = match (kind, version) {
                ("application/openmetrics-text", None | Some("1.0.0")) => Self::OpenMetrics,
                ("text/plain" | "text/*" | "*/*", None | Some("0.0.4")) => Self::Prometheus,
                _ => continue,
            };
            if weight > best.1 {
                best = (format, weight);
            }
        }
        best.0
    }

    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// How many series a family is told in.
pub fn series(family: &MetricFamily) -> usize {
    let metrics = family.get_metric();
    if family.get_field_type() == MetricType::HISTOGRAM {
        // Each bucket, the one without an end, sum and count.
        return metrics
            .iter()
            .map(|metric| metric.get_histogram().get_bucket().len() + 3)
            .sum();
    }
    metrics.len()
}

/// The families as text.
#[must_use]
pub fn encode(families: &[MetricFamily], format: Format) -> String {
    let mut text = String::new();
    for family in families {
        encode_family(family, format, &mut text);
    }
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

fn encode_family(family: &MetricFamily, format: Format, text: &mut String) {
    let name = family.name();
    let kind = family.get_field_type();
    // OpenMetrics names a counter's family without the suffix that its samples carry.
    let described = match format {
        Format::OpenMetrics if kind == MetricType::COUNTER => {
            name.strip_suffix("_total").unwrap_or(name)
        }
        Format::OpenMetrics | Format::Prometheus => name,
    };
    let kind_name = match kind {
        MetricType::COUNTER => "counter",
        MetricType::GAUGE => "gauge",
        MetricType::HISTOGRAM => "histogram",
        MetricType::SUMMARY => "summary",
        MetricType::UNTYPED => "unknown",
    };
    let unit = name
        .ends_with("_seconds")
        .then_some("seconds")
        .or(name.ends_with("_bytes").then_some("bytes"));
    let help = family.help();
    line(
        text,
        format_args!(
            "# HELP {described} {}",
            escaped(help, format == Format::OpenMetrics)
        ),
    );
    line(text, format_args!("# TYPE {described} {kind_name}"));
    if let (Some(unit), Format::OpenMetrics) = (unit, format) {
        line(text, format_args!("# UNIT {described} {unit}"));
    }
    for metric in family.get_metric() {
        let labels = metric.get_label();
        if kind == MetricType::HISTOGRAM {
            let histogram = metric.get_histogram();
            let bounds = histogram.get_bucket().iter();
            let bounds = bounds.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
            for (bound, count) in bounds.chain([(f64::INFINITY, histogram.get_sample_count())]) {
                let bound = match (format, bound == f64::INFINITY) {
                    (_, true) => "+Inf".to_owned(),
                    // Canonical numbers of OpenMetrics have a decimal point.
                    (Format::OpenMetrics, false) => format!("{bound:?}"),
                    (Format::Prometheus, false) => format!("{bound}"),
                };
                sample(text, name, "_bucket", labels, Some(&bound), count as f64);
            }
            sample(text, name, "_sum", labels, None, histogram.get_sample_sum());
            sample(
                text,
                name,
                "_count",
                labels,
                None,
                histogram.get_sample_count() as f64,
            );
        } else {
            let value = match kind {
                MetricType::COUNTER => metric.get_counter().get_value(),
                MetricType::GAUGE
                | MetricType::HISTOGRAM
                | MetricType::SUMMARY
                | MetricType::UNTYPED => metric.get_gauge().get_value(),
            };
            sample(text, name, "", labels, None, value);
        }
    }
}

fn sample(
    text: &mut String,
    name: &str,
    suffix: &str,
    labels: &[LabelPair],
    bound: Option<&str>,
    value: f64,
) {
    text.push_str(name);
    text.push_str(suffix);
    let bound = bound.map(|bound| ("le", bound));
    let labels = labels
        .iter()
        .map(|label| (label.name(), label.value()))
        .chain(bound);
    let mut open = '{';
    for (label, value) in labels {
        text.push(open);
        open = ',';
        // Writing to a string cannot fail.
        let _ = write!(text, "{label}=\"{}\"", escaped(value, true));
    }
    if open == ',' {
        text.push('}');
    }
    line(text, format_args!(" {value}"));
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(what);
    text.push('\n');
}

fn escaped(text: &str, with_quotes: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if with_quotes {
        text.replace('"', "\\\"")
    } else {
        text
    }
}
