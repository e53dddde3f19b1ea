//! What a request came to: a status with its text, or rows as they came over the wire.

use crate::failure::Status;
use scylla::deserialize::row::ColumnIterator;
use scylla::response::query_result::{QueryResult, QueryRowsResult};
use scylla::response::{PagingState, PagingStateResponse};
use std::ffi::{CStr, CString};

/// struct pc_cell
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Cell {
    pub data: *const u8,
    pub size: i32,
}

pub const NULL: i32 = -1;
pub const UNSET: i32 = -2;

pub struct Reply {
    status: Status,
    text: CString,
    columns: usize,
    cells: Vec<Cell>, // row after row; they point into `_frame`
    _frame: Option<QueryRowsResult>,
    next_page: Option<PagingState>,
}

// The cells' memory is the frame's, which goes along.
unsafe impl Send for Reply {}

impl Reply {
    pub fn failed(status: Status, text: &str) -> Reply {
        let text = CString::new(text.replace('\0', " ")).unwrap_or_default();
        Reply { status, text, columns: 0, cells: Vec::new(), _frame: None, next_page: None }
    }

    pub fn of(result: QueryResult, page: PagingStateResponse) -> Reply {
        let mut reply = Reply::failed(Status::Ok, "");
        if !result.is_rows() {
            return reply;
        }
        let frame = match result.into_rows_result() {
            Ok(frame) => frame,
            Err(error) => return Reply::failed(Status::Unknown, &error.to_string()),
        };
        if let PagingStateResponse::HasMorePages { state } = page {
            reply.next_page = Some(state);
        }
        reply.columns = frame.column_specs().len();
        match cells_of(&frame) {
            Ok(cells) => reply.cells = cells,
            Err(text) => return Reply::failed(Status::Unknown, &text),
        }
        reply._frame = Some(frame);
        reply
    }

    pub fn status(&self) -> Status {
        self.status
    }

    pub fn text(&self) -> &CStr {
        &self.text
    }

    pub fn rows(&self) -> usize {
        self.cells.len().checked_div(self.columns).unwrap_or(0)
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    pub fn cell(&self, row: usize, column: usize) -> Cell {
        self.cells[row * self.columns + column]
    }

    pub fn next_page(&self) -> Option<PagingState> {
        self.next_page.clone()
    }
}

fn cells_of(frame: &QueryRowsResult) -> Result<Vec<Cell>, String> {
    let mut cells = Vec::with_capacity(frame.rows_num() * frame.column_specs().len());
    for row in frame.rows::<ColumnIterator>().map_err(|error| error.to_string())? {
        for column in row.map_err(|error| error.to_string())? {
            let slice = column.map_err(|error| error.to_string())?.slice;
            cells.push(match slice {
                None => Cell { data: std::ptr::null(), size: NULL },
                Some(slice) => Cell { data: slice.as_slice().as_ptr(), size: slice.as_slice().len() as i32 },
            });
        }
    }
    Ok(cells)
}
