//! The C ABI of include/ping_cql.h, which documents it.

mod failure;
mod reply;
mod session;

use failure::Status;
use reply::{Cell, Reply};
use session::{Call, Options, Prepared, Session};
use std::ffi::{CStr, c_char, c_void};

/// A text of the caller's; `None` for NULL.
///
/// # Safety
/// `text` is NULL or ends with a zero byte and lives as long as the result is used.
unsafe fn text_of<'a>(text: *const c_char) -> Option<&'a str> {
    if text.is_null() { None } else { unsafe { CStr::from_ptr(text) }.to_str().ok() }
}

/// Cut at `size`, ended by a zero byte.
unsafe fn put_text(text: &str, to: *mut c_char, size: usize) {
    if to.is_null() || size == 0 {
        return;
    }
    let mut length = text.len().min(size - 1);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr().cast(), to, length);
        *to.add(length) = 0;
    }
}

unsafe fn put_result<T>(result: Result<T, (Status, String)>, place: *mut *mut T, text: *mut c_char, size: usize) -> Status {
    match result {
        Ok(value) => {
            unsafe { *place = Box::into_raw(Box::new(value)) };
            Status::Ok
        }
        Err((status, why)) => {
            unsafe { put_text(&why, text, size) };
            status
        }
    }
}

#[repr(C)]
pub struct COptions {
    contact_points: *const c_char,
    keyspace: *const c_char,
    user: *const c_char,
    password: *const c_char,
    local_datacenter: *const c_char,
    tls: bool,
    tls_ca: *const c_char,
    tls_cert: *const c_char,
    tls_key: *const c_char,
    connect_timeout_ms: u32,
    request_timeout_ms: u32,
    max_in_flight: u32,
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pc_connect(options: *const COptions, place: *mut *mut Session, text: *mut c_char, size: usize) -> Status {
    let c = unsafe { &*options };
    let options = unsafe {
        Options {
            contact_points: text_of(c.contact_points).unwrap_or(""),
            keyspace: text_of(c.keyspace),
            user: text_of(c.user),
            password: text_of(c.password),
            local_datacenter: text_of(c.local_datacenter),
            tls: c.tls,
            tls_ca: text_of(c.tls_ca),
            tls_cert: text_of(c.tls_cert),
            tls_key: text_of(c.tls_key),
            connect_timeout_ms: c.connect_timeout_ms,
            request_timeout_ms: c.request_timeout_ms,
            max_in_flight: c.max_in_flight,
        }
    };
    unsafe { put_result(Session::connect(&options), place, text, size) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pc_disconnect(session: *mut Session) {
    if !session.is_null() {
        drop(unsafe { Box::from_raw(session) });
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pc_datacenters(session: *mut Session, text: *mut c_char, size: usize) {
    unsafe { put_text(&(*session).datacenters(), text, size) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pc_run(session: *mut Session, statement: *const c_char, text: *mut c_char, size: usize) -> Status {
    let statement = unsafe { text_of(statement) }.unwrap_or("");
    match unsafe { &*session }.run(statement) {
        Ok(()) => Status::Ok,
        Err((status, why)) => {
            unsafe { put_text(&why, text, size) };
            status
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pc_prepare(
    session: *mut Session, statement: *const c_char, traits: u32, page_size: i32, place: *mut *mut Prepared, text: *mut c_char, size: usize,
) -> Status {
    let statement = unsafe { text_of(statement) }.unwrap_or("");
    let prepared = unsafe { &*session }.prepare(statement, traits, page_size);
    unsafe { put_result(prepared, place, text, size) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pc_statement_free(statement: *mut Prepared) {
    if !statement.is_null() {
        drop(unsafe { Box::from_raw(statement) });
    }
}

#[repr(C)]
pub struct CCall {
    statement: *const Prepared,
    cells: *const Cell,
    count: usize,
}

type Done = unsafe extern "C" fn(*mut c_void, *mut Reply);

/// The caller's pointer, on its way through the driver's threads and back.
struct Context(*mut c_void);
unsafe impl Send for Context {}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pc_execute(
    session: *mut Session, calls: *const CCall, count: usize, after: *const Reply, done: Done, context: *mut c_void,
) -> Status {
    let calls = unsafe { std::slice::from_raw_parts(calls, count) }.iter().map(|call| {
        let cells = if call.count == 0 { &[] } else { unsafe { std::slice::from_raw_parts(call.cells, call.count) } };
        Call::new(unsafe { &*call.statement }, cells)
    });
    let page = unsafe { after.as_ref() }.and_then(Reply::next_page);
    let context = Context(context);
    unsafe { &*session }.execute(calls.collect(), page, move |reply| {
        let context = context; // whole, not its pointer alone
        unsafe { done(context.0, Box::into_raw(Box::new(reply))) };
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pc_result_status(result: *const Reply) -> Status {
    unsafe { &*result }.status()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pc_result_text(result: *const Reply) -> *const c_char {
    unsafe { &*result }.text().as_ptr()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pc_result_rows(result: *const Reply) -> usize {
    unsafe { &*result }.rows()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pc_result_columns(result: *const Reply) -> usize {
    unsafe { &*result }.columns()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pc_result_cell(result: *const Reply, row: usize, column: usize) -> Cell {
    unsafe { &*result }.cell(row, column)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pc_result_more(result: *const Reply) -> bool {
    unsafe { &*result }.next_page().is_some()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pc_result_free(result: *mut Reply) {
    if !result.is_null() {
        drop(unsafe { Box::from_raw(result) });
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn pc_version() -> *const c_char {
    c"1.9.0".as_ptr()
}
