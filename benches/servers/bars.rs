//! The project's bars on servers, as data: how a figure of abaca must compare with other models in the same scenario.

use super::Model;
use super::measure::Row;

/// A figure of a row; less is better for each.
type Figure = fn(&Row) -> Option<f64>;

/// What abaca's figure may be at most.
enum Limit {
    /// This much.
    Absolute(f64),
    /// This share of the raw epoll loop's.
    OfEpoll(f64),
    /// The least of these models'.
    LeastOf(&'static [Model]),
}

struct Bar {
    name: &'static str,
    figure: Figure,
    limit: Limit,
}

const BARS: &[Bar] = &[
    Bar { name: "CPU per request", figure: Row::cpu_us, limit: Limit::OfEpoll(1.05) },
    Bar {
        name: "CPU per request",
        figure: Row::cpu_us,
        limit: Limit::LeastOf(&[
            Model::Tokio,
            Model::TokioCt,
            Model::Hyper,
            Model::May,
            Model::Minihttp,
            Model::Go,
        ]),
    },
    Bar { name: "system calls per request", figure: Row::calls, limit: Limit::Absolute(2.05) },
    Bar { name: "p99", figure: Row::p99_us, limit: Limit::OfEpoll(1.0) },
    Bar { name: "bytes per idle connection", figure: Row::idle_bytes, limit: Limit::Absolute(5_400.0) },
];

/// A line per bar for the rows of one scenario.
pub(crate) fn lines(rows: &[&Row]) -> Vec<String> {
    BARS.iter().filter_map(|bar| line(bar, rows)).collect()
}

/// `None` if one side was not measured.
fn line(bar: &Bar, rows: &[&Row]) -> Option<String> {
    let figure_of =
        |model: Model| rows.iter().find(|row| row.model == model).and_then(|row| (bar.figure)(row));
    let ours = figure_of(Model::Abaca)?;
    let (limit, most) = match bar.limit {
        Limit::Absolute(most) => (String::new(), most),
        Limit::OfEpoll(share) => {
            let epoll = figure_of(Model::Epoll)?;
            (format!(", {share:.2} of epoll's {epoll:.2}"), share * epoll)
        }
        Limit::LeastOf(models) => {
            let least = models.iter().filter_map(|model| Some((*model, figure_of(*model)?)));
            let (model, figure) = least.min_by(|one, other| one.1.total_cmp(&other.1))?;
            (format!(", {}'s", format!("{model:?}").to_lowercase()), figure)
        }
    };
    let verdict = if ours <= most { "met" } else { "**missed**" };
    Some(format!("- {}: {ours:.2}, at most {most:.2}{limit}: {verdict}", bar.name))
}
