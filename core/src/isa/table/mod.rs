//! **The** instruction table: each instruction is described once, here.

mod integer;
mod mmx;
mod sse;
mod sse4;
mod state;
mod x87;

use super::row::{Index, Row};

const LISTS: [&[Row]; 6] = [integer::ROWS, x87::ROWS, state::ROWS, mmx::ROWS, sse::ROWS, sse4::ROWS];

const COUNT: usize = {
    let mut count = 0;
    let mut n = 0;
    while n < LISTS.len() {
        count += LISTS[n].len();
        n += 1;
    }
    count
};

/// All rows. The first is UD2, which also stands for every undefined encoding.
pub static ROWS: [Row; COUNT] = ALL;

static ALL: [Row; COUNT] = {
    let mut rows = [LISTS[0][0]; COUNT];
    let mut at = 0;
    let mut n = 0;
    while n < LISTS.len() {
        let mut row = 0;
        while row < LISTS[n].len() {
            rows[at] = LISTS[n][row];
            at += 1;
            row += 1;
        }
        n += 1;
    }
    rows
};

/// The row of UD2.
pub static UNDEFINED: &Row = &ROWS[0];

/// Rows by opcode.
pub static INDEX: Index<COUNT> = Index::new(&ALL);
