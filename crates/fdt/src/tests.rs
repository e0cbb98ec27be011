//! What is written is read back, by us and by the parser of dtoolkit; what a hostile author makes of
//! a tree is refused.

use super::*;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};
use dtoolkit::{Node as _, Property as _};
use proptest::prelude::*;

crate::names! {
    /// Some names, one of which is the end of another.
    enum Name {
        Reg = "reg",
        Compatible = "compatible",
        Cells = "#address-cells",
        Flag = "ranges",
    }
}

fn small_tree() -> Vec<u8> {
    let mut writer = Writer::new(0);
    writer.node("", |root| {
        root.texts(Name::Compatible, &["one", "two"]);
        root.cell(Name::Cells, 2);
        root.node_at("uart", 0x900_0000, |uart| {
            uart.numbers(Name::Reg, &[0x900_0000, 0x1000]);
            uart.flag(Name::Flag);
            uart.node_at("deep", 0, |_| ());
        });
        root.node("last", |last| {
            last.path(Name::Compatible, "uart", 0x900_0000);
            last.bytes(Name::Reg, &[1, 2, 3, 4, 5]);
        });
    });
    writer.finish()
}

/// Everything that a tree says, as text.
fn shown(blob: &[u8]) -> Result<String, FdtError> {
    let fdt = Fdt::new(blob)?;
    let mut tokens = fdt.tokens();
    let mut shown = String::new();
    loop {
        let line = match tokens.next_token()? {
            Token::Begin(name) => format!("{}{{", String::from_utf8_lossy(name)),
            Token::Property(property) => {
                let name = String::from_utf8_lossy(tokens.name(property.name)?);
                format!("{name}={:?}", property.value)
            }
            Token::End => "}".to_string(),
            Token::Finish => return Ok(shown),
        };
        shown.push_str(&line);
        shown.push('\n');
    }
}

/// The same by dtoolkit.
fn shown_by_dtoolkit(blob: &[u8]) -> String {
    fn show(node: dtoolkit::fdt::FdtNode<'_>, shown: &mut String) {
        shown.push_str(&format!("{}{{\n", node.name()));
        for property in node.properties() {
            let value: &[u8] = property.value_as().unwrap();
            shown.push_str(&format!("{}={value:?}\n", property.name()));
        }
        for child in node.children() {
            show(child, shown);
        }
        shown.push_str("}\n");
    }
    let mut shown = String::new();
    show(dtoolkit::fdt::Fdt::new(blob).unwrap().root(), &mut shown);
    shown
}

#[test]
fn another_parser_reads_what_is_written() {
    let blob = small_tree();
    assert_eq!(shown(&blob).unwrap(), shown_by_dtoolkit(&blob));
    let root = dtoolkit::fdt::Fdt::new(&blob).unwrap().root();
    let names: Vec<&str> = root.children().map(|child| child.name()).collect();
    assert_eq!(names, ["uart@9000000", "last"]);
    let deep = root.child("uart").unwrap().child("deep@0");
    assert!(deep.is_some());
}

fn arbitrary_node() -> impl Strategy<Value = DeviceTreeNode> {
    let name = "[a-z]{1,9}(@[0-9a-f]{1,4})?";
    let property = (
        "[a-z#,-]{1,12}",
        proptest::collection::vec(any::<u8>(), 0..9),
    );
    let leaf = (name, proptest::collection::vec(property, 0..5)).prop_map(|(name, properties)| {
        let mut node = DeviceTreeNode::new_unchecked(name);
        for (name, value) in properties {
            node.add_property(DeviceTreeProperty::new_unchecked(name, value));
        }
        node
    });
    leaf.prop_recursive(4, 24, 4, |inner| {
        let children = proptest::collection::vec(inner.clone(), 0..4);
        (inner, children).prop_map(|(mut node, children)| {
            children.into_iter().for_each(|child| node.add_child(child));
            node
        })
    })
}

proptest! {
    #[test]
    fn trees_of_another_writer_are_read_as_its_own_parser_does(node in arbitrary_node()) {
        let mut tree = DeviceTree::new();
        tree.root.add_child(node);
        let blob = tree.to_dtb();
        prop_assert_eq!(shown(&blob).unwrap(), shown_by_dtoolkit(&blob));
    }

    #[test]
    fn nodes_give_what_the_tokens_give(node in arbitrary_node()) {
        fn show(node: &Node<'_>, shown: &mut String) {
            shown.push_str(&format!("{}{{\n", String::from_utf8_lossy(node.name())));
            for (name, value) in node.properties() {
                shown.push_str(&format!("{}={value:?}\n", String::from_utf8_lossy(name)));
            }
            node.children().for_each(|child| show(&child, shown));
            shown.push_str("}\n");
        }
        let mut tree = DeviceTree::new();
        tree.root.add_child(node);
        let blob = tree.to_dtb();
        let mut by_nodes = String::new();
        show(&Fdt::exact(&blob).unwrap().check().unwrap(), &mut by_nodes);
        prop_assert_eq!(by_nodes, shown(&blob).unwrap());
    }
}

#[test]
fn names_are_told_apart_by_their_whole_text() {
    let mut tree = DeviceTree::new();
    for name in [
        "reg",
        "regs",
        "re",
        "compatible",
        "ranges",
        "x#address-cells",
    ] {
        let property = DeviceTreeProperty::new_unchecked(name, 1_u32);
        tree.root.add_property(property);
    }
    let blob = tree.to_dtb();
    let fdt = Fdt::new(&blob).unwrap();
    let mut table = NameTable::<Name>::new(&fdt);
    // Twice, since the second time they are remembered.
    for _ in 0..2 {
        let mut tokens = fdt.tokens();
        let mut found = Vec::new();
        while let Ok(token) = tokens.next_token() {
            match token {
                Token::Property(property) => found.push(table.find(property.name).unwrap()),
                Token::Begin(_) | Token::End => {}
                Token::Finish => break,
            }
        }
        let (reg, compatible, flag) = (Name::Reg, Name::Compatible, Name::Flag);
        let expected = [Some(reg), None, None, Some(compatible), Some(flag), None];
        assert_eq!(found, expected);
    }
    // The end of a name is a name too: `x#address-cells` holds `#address-cells`.
    let strings = fdt.strings();
    let end = strings.len() - "#address-cells\0".len();
    assert_eq!(table.find(end as u32), Ok(Some(Name::Cells)));
    for offset in [strings.len() as u32, u32::MAX] {
        assert_eq!(table.find(offset), Err(FdtError::BadName { offset }));
    }
}

#[test]
fn more_names_than_are_remembered_are_found_too() {
    let mut tree = DeviceTree::new();
    for number in 0..1000_u32 {
        let name = format!("name-{number}");
        let property = DeviceTreeProperty::new_unchecked(name, number);
        tree.root.add_property(property);
    }
    let reg = DeviceTreeProperty::new_unchecked("reg", 1_u32);
    tree.root.add_property(reg);
    let blob = tree.to_dtb();
    let fdt = Fdt::new(&blob).unwrap();
    let mut table = NameTable::<Name>::new(&fdt);
    for _ in 0..2 {
        let mut tokens = fdt.tokens();
        let mut known = 0;
        loop {
            match tokens.next_token().unwrap() {
                Token::Property(property) => {
                    known += usize::from(table.find(property.name) == Ok(Some(Name::Reg)));
                }
                Token::Begin(_) | Token::End => {}
                Token::Finish => break,
            }
        }
        assert_eq!(known, 1);
    }
}

#[test]
fn an_erased_property_is_gone() {
    let mut writer = Writer::new(0);
    let mut value = 0..0;
    writer.node("", |root| {
        root.cell(Name::Cells, 1);
        value = root.bytes(Name::Reg, &[7; 8]);
        root.flag(Name::Flag);
    });
    let mut blob = writer.finish();
    assert_eq!(blob[value.clone()], [7; 8]);
    for word in blob[value.start - PROPERTY_HEADER..value.end].chunks_mut(4) {
        word.copy_from_slice(&NOP_TOKEN);
    }
    assert_eq!(
        shown(&blob).unwrap(),
        "{\n#address-cells=[0, 0, 0, 1]\nranges=[]\n}\n"
    );
    assert_eq!(shown(&blob).unwrap(), shown_by_dtoolkit(&blob));
}

/// A blob with this structure block.
fn with_structure(words: &[u32]) -> Vec<u8> {
    let mut blob = small_tree();
    let structure: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    let strings = u32_at(&blob, 12) as usize;
    blob.splice(56..strings, structure.iter().copied());
    let total = blob.len() as u32;
    for (at, value) in [
        (4, total),
        (12, 56 + structure.len() as u32),
        (36, structure.len() as u32),
    ] {
        blob[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }
    blob
}

fn u32_at(blob: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(blob[at..at + 4].try_into().unwrap())
}

#[test]
fn h1_tokens_stand_only_where_the_grammar_allows_them() {
    const X: u32 = 0x7800_0000;
    let misplaced = |at, token| FdtError::MisplacedToken { at, token };
    let cases: &[(&[u32], FdtError)] = &[
        (&[], FdtError::UnexpectedEnd { at: 0 }),
        (&[END], misplaced(0, END)),
        (&[END_NODE], misplaced(0, END_NODE)),
        (&[PROP, 0, 0, END], misplaced(0, PROP)),
        (&[BEGIN_NODE], FdtError::EndlessName { at: 4 }),
        (&[BEGIN_NODE, 0x7878_7878], FdtError::EndlessName { at: 4 }),
        (&[BEGIN_NODE, X, END_NODE, END], FdtError::NamedRoot),
        (&[BEGIN_NODE, 0, END], misplaced(8, END)),
        (
            &[BEGIN_NODE, 0, END_NODE],
            FdtError::UnexpectedEnd { at: 12 },
        ),
        (
            &[BEGIN_NODE, 0, END_NODE, END_NODE],
            misplaced(12, END_NODE),
        ),
        (
            &[BEGIN_NODE, 0, END_NODE, BEGIN_NODE, 0],
            misplaced(12, BEGIN_NODE),
        ),
        (
            &[BEGIN_NODE, 0, BEGIN_NODE, X, END_NODE, PROP, 0, 0],
            misplaced(20, PROP),
        ),
        (
            &[BEGIN_NODE, 0, 5],
            FdtError::UnknownToken { at: 8, token: 5 },
        ),
        (
            &[BEGIN_NODE, 0, 0x0100_0000],
            FdtError::UnknownToken {
                at: 8,
                token: 0x0100_0000,
            },
        ),
        (
            &[BEGIN_NODE, 0, PROP, 0],
            FdtError::UnexpectedEnd { at: 16 },
        ),
        (
            &[BEGIN_NODE, 0, PROP, 5, 0, 0],
            FdtError::LongValue { at: 20, length: 5 },
        ),
        (
            &[BEGIN_NODE, 0, PROP, u32::MAX, 0, 0],
            FdtError::LongValue {
                at: 20,
                length: u32::MAX,
            },
        ),
        (
            &[BEGIN_NODE, 0, PROP, 0, 0x1000, END_NODE, END],
            FdtError::BadName { offset: 0x1000 },
        ),
    ];
    for (words, error) in cases {
        let blob = with_structure(words);
        assert_eq!(shown(&blob), Err(*error), "{words:x?}");
        assert_eq!(Fdt::new(&blob).unwrap().check().err(), Some(*error));
        assert!(!error.to_string().is_empty());
    }
    let least = [NOP, BEGIN_NODE, 0, NOP, END_NODE, NOP, END];
    assert_eq!(shown(&with_structure(&least)).unwrap(), "{\n}\n");
}

#[test]
fn h1_headers_that_lie_are_refused() {
    let cases: &[(usize, u32, FdtError)] = &[
        (0, 1, FdtError::BadMagic { found: 1 }),
        (
            4,
            u32::MAX,
            FdtError::Truncated {
                needed: u32::MAX,
                available: small_tree().len(),
            },
        ),
        (
            20,
            16,
            FdtError::BadVersion {
                version: 16,
                compatible: 16,
            },
        ),
        (
            24,
            18,
            FdtError::BadVersion {
                version: 17,
                compatible: 18,
            },
        ),
    ];
    for (at, value, error) in cases {
        let mut blob = small_tree();
        blob[*at..at + 4].copy_from_slice(&value.to_be_bytes());
        assert_eq!(Fdt::new(&blob).err(), Some(*error));
    }
    let blocks = [
        (8, Block::Structure),
        (36, Block::Structure),
        (12, Block::Strings),
        (32, Block::Strings),
        (16, Block::Reservations),
    ];
    for (at, wanted) in blocks {
        for value in [u32::MAX, u32::MAX - 3, small_tree().len() as u32 + 4] {
            let mut blob = small_tree();
            blob[at..at + 4].copy_from_slice(&value.to_be_bytes());
            let error = Fdt::new(&blob).err();
            assert!(
                matches!(error, Some(FdtError::BadBlock { block, .. }) if block == wanted),
                "{error:?}"
            );
        }
    }
    // A structure block that is not in words.
    let mut blob = small_tree();
    let size = u32_at(&blob, 36) - 1;
    blob[36..40].copy_from_slice(&size.to_be_bytes());
    assert!(matches!(Fdt::new(&blob), Err(FdtError::BadBlock { .. })));
}

#[test]
fn h1_reservations_end_or_are_refused() {
    let mut blob = small_tree();
    assert_eq!(Fdt::new(&blob).unwrap().reservations().len(), 0);
    // No entry of zeros stands between the end of the blob and here.
    let last = blob.len() as u32 - 8;
    blob[16..20].copy_from_slice(&last.to_be_bytes());
    assert_eq!(Fdt::new(&blob).err(), Some(FdtError::EndlessReservations));
    let mut tree = DeviceTree::new();
    let entry = dtoolkit::memreserve::MemoryReservation::new(u64::MAX, 1 << 32 | 2);
    tree.memory_reservations.push(entry);
    let blob = tree.to_dtb();
    let entries: Vec<_> = Fdt::new(&blob).unwrap().reservations().collect();
    assert_eq!(entries, [(u64::MAX, 1 << 32 | 2)]);
}

#[test]
fn h1_no_truncation_is_accepted() {
    let blob = small_tree();
    for length in 0..blob.len() {
        assert!(shown(&blob[..length]).is_err());
        let mut short = blob[..length].to_vec();
        if length >= 8 {
            short[4..8].copy_from_slice(&(length as u32).to_be_bytes());
            // What is missing at the end may be the end of a string that nobody needs.
            let _ = shown(&short);
        }
    }
    let mut longer = blob.clone();
    longer.push(0);
    assert_eq!(shown(&longer), shown(&blob));
    let error = FdtError::TooLong {
        size: blob.len() as u32,
        available: longer.len(),
    };
    assert_eq!(Fdt::exact(&longer).err(), Some(error));
}

#[test]
fn h1_no_changed_word_or_bit_causes_a_panic() {
    let blob = small_tree();
    for bit in 0..blob.len() * 8 {
        let mut changed = blob.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let _ = shown(&changed);
    }
    for at in (0..blob.len() - 3).step_by(4) {
        for word in [
            0,
            1,
            2,
            3,
            4,
            9,
            0x7fff_ffff,
            0x8000_0000,
            u32::MAX - 3,
            u32::MAX,
        ] {
            let mut changed = blob.clone();
            changed[at..at + 4].copy_from_slice(&u32::to_be_bytes(word));
            let _ = shown(&changed);
        }
    }
}

#[test]
fn h1_a_depth_bomb_needs_no_stack() {
    let levels = 100_000;
    let mut words = Vec::from([BEGIN_NODE, 0]);
    words.extend([BEGIN_NODE, 0x7800_0000].repeat(levels));
    words.extend([END_NODE].repeat(levels + 1));
    words.push(END);
    let blob = with_structure(&words);
    let root = Fdt::new(&blob).unwrap().check().unwrap();
    assert_eq!(root.children().count(), 1);
}
