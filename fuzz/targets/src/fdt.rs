//! Flattened device trees, read by us and by the parser of dtoolkit.

use ::fdt::{Fdt, FdtError, Token};
use dtoolkit::{Node, Property};

/// Reads a tree in both ways.
///
/// # Panics
/// If both accept it and don't read the same.
pub fn run(data: &[u8]) {
    let ours = match tokens(data) {
        Ok(ours) => ours,
        Err(error) => {
            let _ = error.to_string();
            return;
        }
    };
    let root = Fdt::new(data).and_then(|fdt| fdt.check());
    assert!(root.is_ok(), "the tokens were right");
    // The other parser has rules of its own: names must be UTF-8, blocks must stand in order.
    let Ok(other) = dtoolkit::fdt::Fdt::new(data) else {
        return;
    };
    let mut theirs = Vec::new();
    let mut open = vec![(other.root(), false)];
    while let Some((node, is_done)) = open.pop() {
        if is_done {
            theirs.push((b"}".to_vec(), Vec::new()));
            continue;
        }
        theirs.push((node.name().into(), Vec::new()));
        for property in node.properties() {
            let value: &[u8] = property.value_as().expect("bytes are bytes");
            theirs.push((property.name().into(), value.to_vec()));
        }
        let children: Vec<_> = node.children().collect();
        open.push((node, true));
        open.extend(children.into_iter().rev().map(|child| (child, false)));
    }
    assert_eq!(ours, theirs);
}

/// A name and a value for each node's begin and each property, a brace for each node's end.
type Flat = Vec<(Vec<u8>, Vec<u8>)>;

fn tokens(data: &[u8]) -> Result<Flat, FdtError> {
    let fdt = Fdt::new(data)?;
    assert!(fdt.reservations().len() <= data.len() / 16);
    let mut tokens = fdt.tokens();
    let mut flat = Vec::new();
    loop {
        flat.push(match tokens.next_token()? {
            Token::Begin(name) => (name.to_vec(), Vec::new()),
            Token::Property(property) => {
                let name = tokens.name(property.name)?;
                (name.to_vec(), property.value.to_vec())
            }
            Token::End => (b"}".to_vec(), Vec::new()),
            Token::Finish => return Ok(flat),
        });
    }
}

/// Makes the tree of a small machine.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    crate::board::seeds()
}
