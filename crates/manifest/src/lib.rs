//! The machine description: schema, reader, validation.

#![no_std]
