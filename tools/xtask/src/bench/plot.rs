//! The comparison as a picture.

use super::peers::Peers;
use super::report::Report;
use std::fmt::Write;

const BAR: u32 = 13;
const GROUP_GAP: u32 = 12;
const LEFT: u32 = 330;
const WIDTH: u32 = 900;
/// Bars longer than this many instructions are cut.
const LONGEST: f64 = 1300.0;

/// Draws a bar for each hypervisor and operation that at least one other one has a number for.
pub(super) fn svg(peers: &Peers, report: &Report) -> String {
    let mut body = String::new();
    let mut y = 46;
    for row in &peers.row {
        let bars = [
            ("#1a7f5a", report.figures.get(&row.name).copied()),
            ("#9aa5b1", row.bao),
            ("#c9a227", row.xen),
        ];
        let small = bars
            .iter()
            .all(|(_, value)| value.unwrap_or(0.0) <= LONGEST);
        if row.bao.or(row.xen).is_none() || !small {
            continue;
        }
        let _ = writeln!(
            body,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            LEFT - 8,
            y + BAR,
            escape(&row.title)
        );
        for (color, value) in bars {
            let Some(value) = value else { continue };
            let length = value / LONGEST * f64::from(WIDTH - LEFT - 60);
            let _ = writeln!(
                body,
                "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"{}\" fill=\"{color}\"/>\
                 <text x=\"{:.1}\" y=\"{}\" font-size=\"11\">{value:.0}</text>",
                BAR - 2,
                f64::from(LEFT) + length + 4.0,
                y + BAR - 3
            );
            y += BAR;
        }
        y += GROUP_GAP;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{y}\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"18\" font-size=\"14\">Instructions per operation (fewer is better)</text>\n\
         <text x=\"{LEFT}\" y=\"36\"><tspan fill=\"#1a7f5a\">■ Bulkhead</tspan>  <tspan fill=\"#9aa5b1\">■ Bao 2.0</tspan>  <tspan fill=\"#c9a227\">■ Xen 4.23</tspan></text>\n\
         {body}</svg>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
