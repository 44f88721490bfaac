//! Rows of a typed tool: what a client may ask of them, and how they are answered. Pure.
//!
//! A tool says once which columns its rows have, [`Shape`], and gives all rows that it found. Here `where` chooses among them, `sort` orders
//! them, `columns` narrows them, and `limit` and a cursor cut pages out of them, in this order: nothing is cut before it was chosen and
//! ordered. The schemas, the structured answer and the text are made of the same columns. Knows no host and no program.
//!
//! ```
//! use scout_plugin::json::{Object, Value};
//! use scout_plugin::rows::{Cell, Column, Kind, Shape};
//!
//! const SHAPE: Shape = Shape {
//!     tool: "pools",
//!     list: "pools",
//!     columns: &[Column::new("name", Kind::Text), Column::new("free", Kind::Bytes)],
//!     limit: 100,
//! };
//!
//! let arguments = Value::parse(r#"{"host": "nas", "where": "free < 10G", "sort": "-free"}"#).expect("is JSON");
//! let asked = SHAPE.ask(&arguments)?;
//! let rows = vec![
//!     vec![Cell::text("tank"), Cell::Number(5 << 30)],
//!     vec![Cell::text("dozer"), Cell::Number(500 << 30)],
//! ];
//! let page = asked.page(rows);
//! assert_eq!(page.text(), "name     free\ntank  5.0 GiB\n(1 of 2 rows; 1 not in `where`)\n");
//! assert_eq!(
//!     page.json(Object::new()).finish(),
//!     r#"{"pools":[{"name":"tank","free":5368709120}],"total":2,"left_out":{"where":1},"notes":[]}"#
//! );
//! # Ok::<(), scout_plugin::Error>(())
//! ```

mod condition;
mod cursor;
mod page;
mod shape;
mod sort;

pub use page::{Asked, Page};
pub use shape::{Cell, Column, Kind, Row, Shape};
pub use sort::stable as sort;

#[cfg(test)]
mod tests;
