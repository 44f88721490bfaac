//! The heap of a plugin.
//!
//! Every call runs in a fresh instance. Memory that an instance grows by costs the host two system calls, one to make it
//! usable and one to take it away again: more than a small call takes in all. So the heap begins in memory that the
//! instance has from its start, and grows when that is used up.

use std::alloc::Layout;
use std::arch::wasm32::memory_grow;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use talc::base::binning::Binning;
use talc::base::{CHUNK_UNIT, Talc};
use talc::cell::TalcSyncCell;
use talc::source::Source;
use talc::wasm::WasmBinning;

#[global_allocator]
static HEAP: TalcSyncCell<Grows, WasmBinning> = TalcSyncCell::new_wasm(Grows::Never);

/// Where Scout's strings and lists lie until the plugin lets go of them. On `wasm32-wasip2` wit-bindgen (0.61.1) leaves this function to
/// wasi-libc, which takes the memory from the heap of C: freed into this one, it would be given out while C still has it.
///
/// # Safety
/// That of the canonical ABI: `old` is null, or was given for `old_size` bytes of this alignment.
#[cfg(target_env = "p2")]
#[unsafe(no_mangle)]
unsafe extern "C" fn cabi_realloc(old: *mut u8, old_size: usize, align: usize, new_size: usize) -> *mut u8 {
    if new_size == 0 {
        return std::ptr::without_provenance_mut(align);
    }
    // SAFETY: what the ABI says of its arguments is what an allocator asks of a layout.
    let given = unsafe {
        match old_size {
            0 => std::alloc::alloc(Layout::from_size_align_unchecked(new_size, align)),
            _ => std::alloc::realloc(old, Layout::from_size_align_unchecked(old_size, align), new_size),
        }
    };
    if given.is_null() {
        std::arch::wasm32::unreachable();
    }
    given
}

/// What the heap begins with, in bytes: more than a call needs that answers with a page of text.
const FIRST: usize = 64 << 10;
static mut FIRST_HEAP: [MaybeUninit<u8>; FIRST] = [MaybeUninit::uninit(); FIRST];

/// A page of WebAssembly, in bytes.
const PAGE: usize = 64 << 10;
/// Pages that the heap grows by, at least: a plugin that needs more than it begins with needs much.
const GROWTH: usize = 4;

/// How far the heap has grown.
#[derive(Debug)]
enum Grows {
    /// There is none yet.
    Never,
    /// It is what it began with.
    First,
    /// It ends here; nothing else grows the memory, as a rule.
    To(NonNull<u8>),
}

// SAFETY: nothing here allocates.
unsafe impl Source for Grows {
    fn acquire<B: Binning>(heap: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        if matches!(heap.source, Self::Never) {
            heap.source = Self::First;
            // SAFETY: only this line names it, and runs once.
            unsafe { heap.claim((&raw mut FIRST_HEAP).cast(), FIRST) };
            return Ok(());
        }
        // What talc keeps beside what it gives: a tag, and room to align.
        let needed = layout.size().checked_add(layout.align() + 2 * CHUNK_UNIT).ok_or(())?;
        let pages = needed.div_ceil(PAGE).max(GROWTH);
        let before = memory_grow::<0>(pages);
        if before == usize::MAX {
            return Err(());
        }
        let (begin, size) = ((before * PAGE) as *mut u8, pages * PAGE);
        // SAFETY: the memory was not there before, and is given to nobody else.
        let end = unsafe {
            match heap.source {
                Self::To(end) if end.as_ptr() == begin => Some(heap.extend(end, begin.wrapping_add(size))),
                _ => heap.claim(begin, size),
            }
        };
        heap.source = Self::To(end.ok_or(())?);
        Ok(())
    }
}
