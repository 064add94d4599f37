//! Figures that a snippet has shown, as pictures and as what is drawn in them.
//!
//! What is drawn is the word of a program inside: it is read as the types below and passed on as nothing else, so that a
//! client's own types hold. What they cannot hold is a picture alone, of the type `unknown`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use lazaret_core::Figure;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A figure, or one of the parts of a composite one.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct Chart {
    #[serde(rename = "type")]
    kind: ChartKind,
    title: String,
    /// The picture in base 64; parts have none.
    #[serde(skip_deserializing, skip_serializing_if = "String::is_empty")]
    png: String,
    /// What is drawn: series, bars, slices, boxes, or the charts of a composite one.
    elements: Vec<Element>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x_label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x_scale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x_ticks: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x_tick_labels: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y_label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y_scale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y_ticks: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y_tick_labels: Option<Vec<String>>,
}

/// What kind of chart it is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ChartKind {
    Line,
    Scatter,
    Bar,
    Pie,
    BoxAndWhisker,
    CompositeChart,
    #[default]
    Unknown,
}

/// Something that is drawn in a chart.
#[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(no_recursion)]
enum Element {
    /// A part of a composite chart.
    Part(Box<Chart>),
    /// A line, or points.
    Series { label: String, points: Vec<(f64, f64)> },
    /// A bar.
    Bar { label: String, group: String, value: String },
    /// A slice of a pie, its angle in degrees.
    Slice { label: String, angle: f64, radius: f64 },
    /// A box with whiskers.
    Box {
        label: String,
        min: f64,
        first_quartile: f64,
        median: f64,
        third_quartile: f64,
        max: f64,
        outliers: Vec<f64>,
    },
}

impl From<Figure> for Chart {
    fn from(figure: Figure) -> Self {
        let drawn = serde_json::from_slice::<Self>(&figure.drawing).unwrap_or_default();
        // A composite one has its own title, if it has one; otherwise it goes by that of its first part.
        let title = if drawn.title.is_empty() { figure.title } else { drawn.title };
        Self { title, png: BASE64.encode(&figure.png), ..drawn }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;

    fn shown(drawing: &Value) -> Value {
        let drawing = Bytes::from(drawing.to_string());
        let figure = Figure { title: "t".to_owned(), png: Bytes::from_static(b"PNG"), drawing };
        serde_json::to_value(Chart::from(figure)).expect("a chart is JSON")
    }

    #[test]
    fn what_is_drawn_is_passed_on_with_the_picture() {
        let part =
            json!({"type": "pie", "title": "", "elements": [{"label": "a", "angle": 90.0, "radius": 1.0}]});
        let bar = json!({"label": "p", "group": "", "value": "3"});
        let bars = json!({"type": "bar", "title": "b", "elements": [bar], "x_label": "x", "y_ticks": [0.5]});
        let drawing = json!({"type": "composite_chart", "title": "", "elements": [part, bars]});
        let mut want = drawing.clone();
        (want["title"], want["png"]) = (json!("t"), json!("UE5H"));
        assert_eq!(shown(&drawing), want);
    }

    #[test]
    fn what_no_client_could_read_is_a_picture_alone() {
        let picture = json!({"type": "unknown", "title": "t", "png": "UE5H", "elements": []});
        let series = |points: Value| json!({"type": "line", "title": "", "elements": [{"label": "", "points": points}]});
        let mut deep = json!([]);
        for _ in 0..500 {
            deep = json!([{"type": "composite_chart", "title": "", "elements": deep}]);
        }
        for drawing in [
            json!(""),
            json!({"type": "unheard_of", "title": "", "elements": []}),
            json!({"type": "line", "title": 7, "elements": []}),
            series(json!([[1, 2, 3]])),
            series(json!([["1", "2"]])),
            deep[0].clone(),
        ] {
            assert_eq!(shown(&drawing), picture);
        }
        assert_eq!(shown(&series(json!([[1, 2.5]])))["elements"][0]["points"], json!([[1.0, 2.5]]));
    }
}
