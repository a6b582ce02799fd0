//! Export: records of a table back into files, a folder tree ([`tree`]) or a stored zip archive ([`archive`]), and their
//! columns into a text table ([`csv`]).

pub mod archive;
pub mod csv;
pub mod names;
pub mod tree;
