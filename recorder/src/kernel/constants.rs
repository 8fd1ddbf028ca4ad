//! What the recorder tells the program when it loads it: statics that its code sees as constants.

use std::collections::HashMap;

use aya_obj::Object;

use crate::abi::KernelLayout;
use crate::error::{Error, Result};
use crate::kernel::bpf::{Map, MapLayout, MapType, READ_ONLY_FOR_PROGRAM};
use crate::kernel::program::{self, ProgramOptions, layout};

/// Sets the statics of the program that its code sees as constants.
pub(super) fn set(object: &mut Object, options: &ProgramOptions, kernel: &KernelLayout) -> Result<()> {
    let lane_slots = u64::from(options.lane_slots).to_le_bytes();
    let wake_slots = u64::from(options.lane_slots / 4).to_le_bytes();
    let wake_bytes = u64::from(options.ring_bytes / 4).to_le_bytes();
    let only_admitted = u32::from(options.only_admitted).to_le_bytes();
    let kernel = layout_bytes(kernel);
    object
        .patch_map_data(HashMap::from([
            ("LANE_SLOTS", (&lane_slots[..], true)),
            ("WAKE_SLOTS", (&wake_slots[..], true)),
            ("WAKE_BYTES", (&wake_bytes[..], true)),
            ("PID_FILTER", (&only_admitted[..], true)),
            ("KERNEL", (&kernel[..], true)),
        ]))
        .map_err(|error| Error::Object(error.to_string()))
}

/// The map behind the program's statics, frozen: the verifier takes them for constants.
pub(super) fn create(object: &Object, cpus: u32) -> Result<Map> {
    let data = object.maps.get(".rodata").map(aya_obj::Map::data).unwrap_or_default();
    let bytes = u32::try_from(data.len()).map_err(|_| Error::Object(".rodata is too large".into()))?;
    let constants = layout(MapType::Array, 4, bytes, 1);
    let map = program::create(&MapLayout { flags: READ_ONLY_FOR_PROGRAM, ..constants }, cpus)?;
    program::set(&map, 0, data)?;
    map.freeze().map_err(|source| Error::System { doing: "freeze a BPF map", source })?;
    Ok(map)
}

/// The layout as the bytes of its static.
fn layout_bytes(kernel: &KernelLayout) -> Vec<u8> {
    let KernelLayout {
        task_pid,
        task_tgid,
        task_start,
        task_parent,
        task_mm,
        task_signal,
        task_exit_code,
        signal_live,
        mm_exe_file,
        mm_arg_start,
        mm_arg_end,
        file_dentry,
        dentry_name,
        binprm_filename,
        task_fsbase,
    } = *kernel;
    let tasks = [task_pid, task_tgid, task_start, task_parent, task_mm, task_signal, task_exit_code];
    let others = [mm_exe_file, mm_arg_start, mm_arg_end, file_dentry, dentry_name, binprm_filename];
    tasks
        .into_iter()
        .chain([signal_live])
        .chain(others)
        .chain([task_fsbase])
        .flat_map(u32::to_le_bytes)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_has_the_bytes_of_its_static() {
        let mut bytes = layout_bytes(&KernelLayout::default());
        assert_eq!(bytes.len(), size_of::<KernelLayout>());
        let layout = KernelLayout {
            task_pid: 1,
            task_exit_code: 7,
            signal_live: 8,
            mm_exe_file: 9,
            file_dentry: 12,
            binprm_filename: 14,
            task_fsbase: 15,
            ..KernelLayout::default()
        };
        for (index, number) in [1, 7, 8, 9, 12, 14, 15].map(|number| (number as usize - 1, number)) {
            bytes[4 * index] = number;
        }
        assert_eq!(layout_bytes(&layout), bytes);
    }
}
