//! What the macros refuse, with the message at the place that is wrong.

#[test]
fn mistakes_are_explained_where_they_are_made() {
    trybuild::TestCases::new().compile_fail("tests/compile-fail/*.rs");
}
