//! The guide's pages. Each is a Markdown file in `runtime/guide`, whose programs are tests of the documentation.
#![doc = include_str!("../guide/README.md")]

#[doc = include_str!("../guide/tutorial.md")]
pub mod tutorial {}

#[doc = include_str!("../guide/from_std.md")]
pub mod from_std {}

#[doc = include_str!("../guide/from_tokio.md")]
pub mod from_tokio {}

#[doc = include_str!("../guide/from_go.md")]
pub mod from_go {}

#[doc = include_str!("../guide/what_blocks.md")]
pub mod what_blocks {}

#[doc = include_str!("../guide/transparent.md")]
pub mod transparent {}

#[doc = include_str!("../guide/compatibility.md")]
pub mod compatibility {}

#[doc = include_str!("../guide/cancellation.md")]
pub mod cancellation {}

#[doc = include_str!("../guide/costs.md")]
pub mod costs {}

#[doc = include_str!("../guide/debugging.md")]
pub mod debugging {}

#[doc = include_str!("../guide/cookbook.md")]
pub mod cookbook {}
