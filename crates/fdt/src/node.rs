//! Looking into a small tree that has been checked.

use crate::read::{Property, Token, Tokens};

/// A node of a tree that [`crate::Fdt::check`] has checked. Each iteration goes over the node's
/// tokens again, those of everything below it too.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    name: &'a [u8],
    /// Behind the token that begins the node.
    tokens: Tokens<'a>,
}

impl<'a> Node<'a> {
    pub(crate) fn root(mut tokens: Tokens<'a>) -> Self {
        // The check has seen the token that begins the root.
        let _ = tokens.next_token();
        Self { name: b"", tokens }
    }

    /// Returns the node's name with its unit address.
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        self.name
    }

    /// Gives the properties: name and value.
    #[must_use]
    pub fn properties(&self) -> Properties<'a> {
        Properties {
            tokens: self.tokens.clone(),
        }
    }

    /// Gives the children in their order.
    #[must_use]
    pub fn children(&self) -> Children<'a> {
        Children {
            depth: self.tokens.depth(),
            tokens: self.tokens.clone(),
        }
    }
}

/// Iterates over the properties of a [`Node`].
#[derive(Clone, Debug)]
pub struct Properties<'a> {
    tokens: Tokens<'a>,
}

impl<'a> Iterator for Properties<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // The check has seen these tokens and names: errors don't come.
        match self.tokens.next_token() {
            Ok(Token::Property(Property { name, value })) => {
                Some((self.tokens.name(name).ok()?, value))
            }
            Ok(Token::Begin(_) | Token::End | Token::Finish) | Err(_) => None,
        }
    }
}

/// Iterates over the children of a [`Node`].
#[derive(Clone, Debug)]
pub struct Children<'a> {
    /// The depth at which the parent's tokens stand.
    depth: usize,
    tokens: Tokens<'a>,
}

impl<'a> Iterator for Children<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        // The depth says whether a token is the parent's; once it has ended, all are others'.
        while self.tokens.depth() >= self.depth {
            let depth = self.tokens.depth();
            match self.tokens.next_token() {
                Ok(Token::Begin(name)) if depth == self.depth => {
                    let tokens = self.tokens.clone();
                    return Some(Node { name, tokens });
                }
                Ok(Token::Begin(_) | Token::Property(_) | Token::End) => {}
                Ok(Token::Finish) | Err(_) => return None,
            }
        }
        None
    }
}
