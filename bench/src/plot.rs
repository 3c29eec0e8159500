//! Bar charts as SVG. Written by hand: a few rectangles and texts need no plotting library, and equal figures give
//! equal bytes.

use std::fmt::Write;

/// A picture with a title, a description for screen readers, a legend and panels one below the other.
pub struct Plot {
    pub title: String,
    pub description: String,
    pub panels: Vec<Panel>,
}

/// Groups of bars that share one axis.
pub struct Panel {
    pub title: String,
    pub scale: Scale,
    pub groups: Vec<(String, Vec<Bar>)>,
}

/// The axis of a panel. Log is from one value to another, with a line at each power of ten.
pub enum Scale {
    Log { from: f64, to: f64, unit: &'static str },
    Linear { to: f64 },
}

/// Whose figure a bar shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Series {
    Module,
    Floor,
    Peer,
}

/// A bar, with the text behind its end. A linear bar is made of boxes, each with a text inside.
pub struct Bar {
    pub series: Series,
    pub value: f64,
    pub text: String,
    pub boxes: Vec<String>,
}

const WIDTH: f64 = 860.0;
const LEFT: f64 = 236.0;
/// The room on the right for the text of the longest bar.
const RIGHT: f64 = WIDTH - 150.0;
const BAR: f64 = 18.0;
const GROUP_GAP: f64 = 10.0;
const INK: &str = "#1f2328";
const MUTED: &str = "#57606a";

impl Series {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Module, "this module"),
        (Self::Floor, "bare client (floor), same run"),
        (Self::Peer, "replaced module, measured earlier on another machine"),
    ];

    fn style(self) -> &'static str {
        match self {
            Self::Module => "fill=\"#0969da\" stroke=\"#0969da\"",
            Self::Floor => "fill=\"#8c959f\" stroke=\"#8c959f\"",
            Self::Peer => "fill=\"#fff8c5\" stroke=\"#9a6700\" stroke-dasharray=\"4 3\"",
        }
    }
}

impl Scale {
    fn x(&self, value: f64) -> f64 {
        let share = match *self {
            Self::Log { from, to, .. } => (value / from).log10() / (to / from).log10(),
            Self::Linear { to } => value / to,
        };
        LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    /// Returns the lines of the axis, with their labels.
    fn ticks(&self) -> Vec<(f64, String)> {
        match *self {
            Self::Linear { .. } => Vec::new(),
            Self::Log { from, to, unit } => std::iter::successors(Some(from), |tick| Some(tick * 10.0))
                .take_while(|tick| *tick <= to * 1.001)
                .map(|tick| (self.x(tick), format!("{}{unit}", grouped(tick))))
                .collect(),
        }
    }
}

/// Returns a number with commas between thousands, and without needless digits.
pub fn grouped(number: f64) -> String {
    if number < 1000.0 {
        return format!("{}", (number * 1000.0).round() / 1000.0);
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The texts and shapes of a picture, and how far down they reach.
#[derive(Default)]
struct Canvas {
    svg: String,
    y: f64,
}

impl Canvas {
    fn text(&mut self, x: f64, y: f64, style: &str, text: &str) {
        let _ = writeln!(self.svg, "  <text x=\"{x:.1}\" y=\"{y:.1}\" {style}>{}</text>", escape(text));
    }

    fn rect(&mut self, x: f64, y: f64, width: f64, style: &str) {
        let height = BAR - 4.0;
        let _ = writeln!(
            self.svg,
            "  <rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\" {style}/>",
            width.max(1.0)
        );
    }

    fn legend(&mut self, used: impl Fn(Series) -> bool) {
        let mut x = 24.0;
        for (series, name) in Series::ALL.into_iter().filter(|(series, _)| used(*series)) {
            self.rect(x, self.y, 22.0, series.style());
            self.text(x + 30.0, self.y + 12.0, &format!("fill=\"{MUTED}\""), name);
            x += 60.0 + 7.0 * name.chars().count() as f64;
        }
        self.y += 34.0;
    }

    fn panel(&mut self, panel: &Panel) {
        self.text(24.0, self.y + 8.0, "font-size=\"15\" font-weight=\"bold\"", &panel.title);
        self.y += 22.0;
        let height: f64 = panel.groups.iter().map(|(_, bars)| bars.len() as f64 * BAR + GROUP_GAP).sum();
        for (x, label) in panel.scale.ticks() {
            let (top, bottom) = (self.y, self.y + height);
            let _ = writeln!(self.svg, "  <path d=\"M{x:.1} {top:.1}V{bottom:.1}\" stroke=\"#d0d7de\"/>");
            self.text(x, bottom + 15.0, &format!("fill=\"{MUTED}\" text-anchor=\"middle\""), &label);
        }
        for (label, bars) in &panel.groups {
            let middle = self.y + GROUP_GAP / 2.0 + bars.len() as f64 * BAR / 2.0 + 3.0;
            self.text(LEFT - 12.0, middle, "text-anchor=\"end\"", label);
            self.y += GROUP_GAP / 2.0;
            bars.iter().for_each(|bar| self.bar(&panel.scale, bar));
            self.y += GROUP_GAP / 2.0;
        }
        self.y += if panel.scale.ticks().is_empty() { 22.0 } else { 42.0 };
    }

    fn bar(&mut self, scale: &Scale, bar: &Bar) {
        let style = bar.series.style();
        for (index, name) in bar.boxes.iter().enumerate() {
            let (from, to) = (scale.x(index as f64), scale.x(index as f64 + 1.0));
            self.rect(from, self.y, to - from - 4.0, style);
            let inside = "fill=\"#ffffff\" text-anchor=\"middle\" font-size=\"12\"";
            self.text((from + to) / 2.0 - 2.0, self.y + 11.0, inside, name);
        }
        if bar.boxes.is_empty() {
            self.rect(LEFT, self.y, scale.x(bar.value) - LEFT, style);
        }
        let ink = if bar.series == Series::Module { INK } else { MUTED };
        // The white outline keeps the axis lines out of the text.
        let style = format!("fill=\"{ink}\" stroke=\"#ffffff\" stroke-width=\"4\" paint-order=\"stroke\"");
        self.text(scale.x(bar.value) + 8.0, self.y + 12.0, &style, &bar.text);
        self.y += BAR;
    }
}

/// Returns the picture.
pub fn render(plot: &Plot) -> String {
    let mut canvas = Canvas { svg: String::new(), y: 40.0 };
    canvas.text(24.0, 28.0, "font-size=\"17\" font-weight=\"bold\"", &plot.title);
    let bars = || plot.panels.iter().flat_map(|panel| &panel.groups).flat_map(|(_, bars)| bars);
    canvas.y += 4.0;
    canvas.legend(|series| bars().any(|bar| bar.series == series));
    plot.panels.iter().for_each(|panel| canvas.panel(panel));
    let height = canvas.y;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" aria-labelledby=\"title desc\" font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\" \
         font-size=\"13\" fill=\"{INK}\">\n  <title id=\"title\">{}</title>\n  <desc id=\"desc\">{}</desc>\n  \
         <rect x=\"1\" y=\"1\" width=\"{}\" height=\"{}\" rx=\"10\" fill=\"#ffffff\" stroke=\"#d0d7de\"/>\n{}</svg>\n",
        escape(&plot.title),
        escape(&plot.description),
        WIDTH - 2.0,
        height - 2.0,
        canvas.svg
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(value: f64, text: &str) -> Plot {
        let bar = Bar { series: Series::Module, value, text: text.to_owned(), boxes: Vec::new() };
        let scale = Scale::Log { from: 0.01, to: 100.0, unit: " ms" };
        let panel = Panel { title: "panel".to_owned(), scale, groups: vec![("group".to_owned(), vec![bar])] };
        Plot { title: "a < b & \"c\"".to_owned(), description: "d > e".to_owned(), panels: vec![panel] }
    }

    #[test]
    fn equal_figures_give_equal_bytes() {
        assert_eq!(render(&plot(1.0, "1 ms")), render(&plot(1.0, "1 ms")));
        assert_ne!(render(&plot(1.0, "1 ms")), render(&plot(2.0, "1 ms")), "a bar's length follows its figure");
    }

    #[test]
    fn texts_are_escaped() {
        let svg = render(&plot(1.0, "<script>"));
        assert!(svg.contains("a &lt; b &amp; &quot;c&quot;") && svg.contains("d &gt; e"));
        assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;"));
    }

    #[test]
    fn a_logarithmic_axis_gives_each_power_of_ten_the_same_length() {
        let scale = Scale::Log { from: 0.01, to: 100.0, unit: "" };
        assert_eq!(scale.x(0.01), LEFT);
        assert_eq!(scale.x(100.0), RIGHT);
        assert!((scale.x(1.0) - scale.x(0.1) - (scale.x(10.0) - scale.x(1.0))).abs() < 1e-9);
        assert_eq!(scale.ticks().len(), 5);
    }

    #[test]
    fn thousands_have_commas() {
        assert_eq!(
            ["0.01", "100", "1,000", "14,893", "1,234,567"],
            [0.01, 100.0, 1e3, 14893.0, 1234567.0].map(grouped).each_ref().map(String::as_str)
        );
    }
}
