//! The lowering of patterns, compared with the compiler's own: its THIR, which it prints on
//! request, has every pattern with all types, constants and implied dereferences worked out.

#[allow(dead_code, reason = "each test uses a part")]
mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use common::{Published, json, run};
use serde_json::Value;

/// A file, a line and a column, counted from 1.
type Place = (String, u64, u64);

#[test]
#[ignore = "downloads and compiles crates"]
fn patterns_are_lowered_as_the_compiler_lowers_them() {
    let crates = [
        ("regex-syntax", "0.8.11"),
        ("winnow", "1.0.5"),
        ("semver", "1.0.28"),
        ("rustc-demangle", "0.1.27"),
        ("toml_parser", "1.1.5"),
        ("gimli", "0.33.0"),
    ];
    let mut wrong = Vec::new();
    for (name, version) in crates {
        let published = Published::fetch(name, version);
        let theirs = of_compiler(&published);
        let output = run(&published.root, &["lowered"]);
        let ours: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let ours = ours.as_array().expect("a list");
        let (mut same, mut constants) = (0, 0);
        for entry in ours {
            let place = place(entry);
            let pattern = entry["pattern"].as_str().expect("a pattern");
            let Some(known) = theirs.get(&place) else {
                continue;
            };
            if known.contains(pattern) {
                same += 1;
            } else if known.iter().any(|it| agrees(pattern, it)) {
                constants += 1;
            } else {
                wrong.push(format!("{name} {place:?}: {pattern} is {known:?}"));
            }
        }
        let summary = json(&published.root, &[]);
        let sites = summary["sites"].as_u64().expect("a number");
        let left_out = summary["unanalyzed"].as_u64().expect("a number");
        println!(
            "{name}: {} patterns, {same} as the compiler's, {constants} but for constants; \
             {sites} sites, {left_out} not analyzed",
            ours.len()
        );
        // What a macro writes has no place of its own for the compiler; it is not compared.
        for (is_fine, what) in [
            ((same + constants) * 2 >= ours.len(), "too few are compared"),
            (
                constants * 20 <= ours.len(),
                "too many constants are not known",
            ),
            (
                left_out * 100 <= sites + left_out,
                "too many sites are not analyzed",
            ),
        ] {
            if !is_fine {
                wrong.push(format!("{name}: {what}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}: {wrong:#?}", wrong.len());
}

fn place(value: &Value) -> Place {
    let number = |key: &str| value[key].as_u64().expect("a number");
    let file = value["file"].as_str().expect("a file");
    (file.into(), number("line"), number("column"))
}

/// Says whether the patterns are the same but for constants that were not looked into.
fn agrees(ours: &str, theirs: &str) -> bool {
    let mut rest = theirs;
    let mut parts = ours.split("const");
    let Some(tail) = parts.next().and_then(|first| rest.strip_prefix(first)) else {
        return false;
    };
    rest = tail;
    for part in parts {
        // Whatever the constant is, it ends where the next part begins.
        let Some(at) = rest.find(part).filter(|_| !part.is_empty()) else {
            return part.is_empty();
        };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty()
}

/// Asks the compiler for the patterns of a library, by place.
fn of_compiler(published: &Published) -> BTreeMap<Place, BTreeSet<String>> {
    let mut child = published
        .cargo()
        .args(["rustc", "--quiet", "--lib", "--", "-Zunpretty=thir-tree"])
        .env("RUSTC_BOOTSTRAP", "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("cargo starts");
    let stdout = child.stdout.take().expect("its output");
    let mut all: BTreeMap<Place, BTreeSet<String>> = BTreeMap::new();
    // Hundreds of megabytes: only the lines of one pattern are kept at a time.
    let mut pattern: Vec<Line> = Vec::new();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.expect("a line");
        let text = String::from_utf8_lossy(&line);
        let line = Line::read(&text);
        if pattern.is_empty() {
            if line.text == "Pat {" {
                pattern.push(line);
            }
            continue;
        }
        let ends = line.indent <= pattern[0].indent && line.text == "}";
        pattern.push(line);
        if ends {
            let node = Node::read(&pattern);
            if let Some(place) = node.place() {
                all.entry(place).or_default().insert(node.pattern());
            }
            pattern.clear();
        }
    }
    assert!(child.wait().expect("cargo ends").success());
    assert!(
        !all.is_empty(),
        "{}: the compiler printed nothing",
        published.name
    );
    all
}

struct Line {
    indent: usize,
    text: String,
}

impl Line {
    fn read(text: &str) -> Self {
        let trimmed = text.trim_start();
        Line {
            indent: text.len() - trimmed.len(),
            text: trimmed.trim_end().to_string(),
        }
    }
}

/// A line with the lines that are indented below it.
struct Node<'l> {
    text: &'l str,
    below: Vec<Node<'l>>,
}

impl<'l> Node<'l> {
    fn read(lines: &'l [Line]) -> Self {
        let (first, rest) = lines.split_first().expect("a line");
        let mut below = Vec::new();
        let mut at = 0;
        while at < rest.len() {
            let begin = at;
            at += 1;
            while at < rest.len() && rest[at].indent > rest[begin].indent {
                at += 1;
            }
            below.push(Node::read(&rest[begin..at]));
        }
        Node {
            text: &first.text,
            below,
        }
    }

    fn value(&self, key: &str) -> Option<&'l str> {
        let mut found = self.below.iter().filter_map(|it| it.text.strip_prefix(key));
        found.next().map(str::trim)
    }

    fn child(&self, start: &str) -> Option<&Node<'l>> {
        self.below.iter().find(|it| it.text.starts_with(start))
    }

    /// Lists the patterns right below, whatever stands between.
    fn patterns(&self) -> Vec<String> {
        let mut all = Vec::new();
        for node in &self.below {
            if node.text == "Pat {" {
                all.push(node.pattern());
            } else {
                all.extend(node.patterns());
            }
        }
        all
    }

    /// Reads `span: src/lib.rs:4:15: 4:22 (#0)`; what a macro made has another number.
    fn place(&self) -> Option<Place> {
        let span = self.value("span:")?.strip_suffix("(#0)")?;
        let (start, _) = span.split_once(": ")?;
        let mut parts = start.rsplitn(3, ':');
        let column = parts.next()?.parse().ok()?;
        let line = parts.next()?.parse().ok()?;
        Some((parts.next()?.to_string(), line, column))
    }

    fn pattern(&self) -> String {
        let Some(kind) = self
            .child("kind: PatKind {")
            .and_then(|it| it.below.first())
        else {
            return "?".into();
        };
        let subs = kind.patterns();
        let word = kind.text.split([' ', '(']).next().unwrap_or_default();
        match word {
            "Wild" => "_".into(),
            "Never" => "!".into(),
            "Binding" => {
                let by_ref = kind.value("mode:").is_some_and(|it| it.contains("Yes("));
                let mode = if by_ref { "ref" } else { "val" };
                match subs.first() {
                    Some(sub) => format!("{mode}@{sub}"),
                    None => mode.into(),
                }
            }
            "Variant" => format!("{}({})", kind.variant(), subs.join(",")),
            "Leaf" => format!("L({})", subs.join(",")),
            "Deref" => format!("&{}", subs.join(",")),
            "DerefPattern" => format!("*{}", subs.join(",")),
            "Or" => format!("({})", subs.join("|")),
            "Constant" => constant(kind.value("value:").unwrap_or_default()),
            "Range" => range(kind.text),
            "Slice" | "Array" => {
                let part = |name: &str| {
                    let node = kind.child(name);
                    node.map(|it| it.patterns().join(",")).unwrap_or_default()
                };
                let rest = if kind.child("slice:").is_some() {
                    ".."
                } else {
                    ""
                };
                format!("[{};{rest};{}]", part("prefix:"), part("suffix:"))
            }
            _ => format!("?{word}"),
        }
    }

    /// Finds the name of the variant in the long line that describes the enum.
    fn variant(&self) -> String {
        fn find<'l>(node: &Node<'l>, start: &str) -> Option<&'l str> {
            let below = node.below.iter().filter(|it| it.text != "Pat {");
            let mut hits = below.map(|it| it.text.strip_prefix(start).or_else(|| find(it, start)));
            hits.find_map(|hit| hit)
        }
        let index: usize = self
            .value("variant_index:")
            .and_then(|it| it.parse().ok())
            .expect("an index");
        let list = find(self, "variants:").expect("the variants");
        let mut names = list.split("VariantDef {").skip(1);
        let one = names.nth(index).expect("the variant");
        let (_, rest) = one.split_once("name: \"").expect("its name");
        rest.split('"').next().unwrap_or_default().to_string()
    }
}

/// Reads `7_u8`, `u8::MAX`, `'a'`, `true`, `1.5f32` or `Branch([108_u8, 105_u8]): str`.
fn constant(text: &str) -> String {
    if let Some(list) = text.strip_prefix("Branch([") {
        let (list, _) = list.split_once("])").unwrap_or((list, ""));
        let bytes: Vec<&str> = list
            .split(", ")
            .map(|it| it.trim_end_matches("_u8"))
            .collect();
        return format!("[{}]", bytes.join(", "));
    }
    if let Some(quoted) = text.strip_prefix('\'') {
        let inner = quoted.strip_suffix('\'').expect("a closing quote");
        return u32::from(character(inner)).to_string();
    }
    for ending in ["f32", "f64"] {
        if let Some(number) = text.strip_suffix(ending) {
            let number: f64 = number.parse().expect("a float");
            return format!("{number:?}");
        }
    }
    // The raw bits of the type's width.
    if let Some((ty, end)) = text.split_once("::") {
        let (all, is_signed) = (mask(ty), ty.starts_with('i'));
        return match (end, is_signed) {
            ("MAX", false) => all,
            ("MAX", true) => all >> 1,
            ("MIN", true) => (all >> 1) + 1,
            _ => 0,
        }
        .to_string();
    }
    let Some((number, ty)) = text.split_once('_') else {
        return text.into();
    };
    match number.parse::<i128>() {
        Ok(number) if number < 0 => (number.cast_unsigned() & mask(ty)).to_string(),
        _ => number.into(),
    }
}

/// Reads a character as it stands between quotes.
fn character(text: &str) -> char {
    let Some(escape) = text.strip_prefix('\\') else {
        return text.chars().next().expect("a character");
    };
    let hex = escape
        .strip_prefix("u{")
        .and_then(|it| it.strip_suffix('}'));
    if let Some(hex) = hex {
        let number = u32::from_str_radix(hex, 16).expect("hexadecimal");
        return char::from_u32(number).expect("a character");
    }
    match escape {
        "n" => '\n',
        "r" => '\r',
        "t" => '\t',
        "0" => '\0',
        other => other.chars().next().expect("a character"),
    }
}

fn mask(ty: &str) -> u128 {
    let bits = match ty.trim_start_matches(['i', 'u']) {
        "size" => 64,
        digits => digits.parse().unwrap_or(128),
    };
    u128::MAX >> (128 - bits)
}

/// Reads `Range ( PatRange { lo: Finite(Leaf(0xfd)), hi: PosInfinity, end: Included, ty: i8 } )`.
fn range(text: &str) -> String {
    let part = |key: &str| -> &str {
        let (_, rest) = text.split_once(key).unwrap_or_default();
        rest.split([',', '}']).next().unwrap_or_default().trim()
    };
    let is_float = matches!(part(", ty: "), "f32" | "f64");
    let bound = |key: &str| -> String {
        let Some(hex) = part(key).strip_prefix("Finite(Leaf(0x") else {
            return String::new();
        };
        let raw = u128::from_str_radix(hex.trim_end_matches(')'), 16).expect("hexadecimal");
        match (is_float, part(", ty: ")) {
            (true, "f32") => format!("{:?}", f64::from(f32::from_bits(raw as u32))),
            (true, _) => format!("{:?}", f64::from_bits(raw as u64)),
            (false, _) => raw.to_string(),
        }
    };
    let end = if part("end: ") == "Included" {
        "..="
    } else {
        ".."
    };
    format!("{}{end}{}", bound("lo: "), bound("hi: "))
}
