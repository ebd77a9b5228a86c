//! The probe for tracers of the kernel, as they find it in the file of the program: the notes of the kind stapsdt.

/// A section of an ELF file of 64 bits, the low byte first.
struct Section<'a> {
    name: &'a str,
    flags: u64,
    address: u64,
    bytes: &'a [u8],
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn half(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn text(bytes: &[u8]) -> &str {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap();
    std::str::from_utf8(&bytes[..end]).unwrap()
}

/// The sections of a file that have bytes.
fn sections(file: &[u8]) -> Vec<Section<'_>> {
    assert_eq!(&file[..6], b"\x7fELF\x02\x01");
    let short = |at: usize| usize::from(u16::from_le_bytes([file[at], file[at + 1]]));
    let (table, size, count, names) = (word(file, 40) as usize, short(58), short(60), short(62));
    let header = |index: usize| &file[table + index * size..table + (index + 1) * size];
    let bytes = |header: &[u8]| -> &[u8] {
        const NOBITS: usize = 8;
        let (at, length) = (word(header, 24) as usize, word(header, 32) as usize);
        if half(header, 4) == NOBITS { &[] } else { &file[at..at + length] }
    };
    let names = bytes(header(names));
    let section = |index| {
        let header = header(index);
        let name = text(&names[half(header, 0)..]);
        Section { name, flags: word(header, 8), address: word(header, 16), bytes: bytes(header) }
    };
    (1..count).map(section).collect()
}

/// A note of the kind stapsdt: where the probe is, what was the address of `.stapsdt.base` for that, its name, and its arguments.
struct Probe<'a> {
    address: u64,
    base: u64,
    name: [&'a str; 2],
    arguments: &'a str,
}

fn probes(mut notes: &[u8]) -> Vec<Probe<'_>> {
    let mut found = Vec::new();
    while !notes.is_empty() {
        let (owner, length, kind) = (half(notes, 0), half(notes, 4), half(notes, 8));
        let begin = 12 + owner.next_multiple_of(4);
        assert_eq!((text(&notes[12..]), kind), ("stapsdt", 3));
        let note = &notes[begin..begin + length];
        let mut texts = note[24..].split(|byte| *byte == 0).map(|part| std::str::from_utf8(part).unwrap());
        let mut next = || texts.next().unwrap();
        assert_eq!(word(note, 16), 0, "no semaphore");
        let name = [next(), next()];
        found.push(Probe { address: word(note, 0), base: word(note, 8), name, arguments: next() });
        notes = &notes[begin + length.next_multiple_of(4)..];
    }
    found
}

#[test]
fn each_note_of_the_probe_tells_of_a_nop_in_the_program_and_of_three_registers() {
    const EXECUTABLE: u64 = 4;
    let nop: &[u8] = match std::env::consts::ARCH {
        "x86_64" => &[0x90],
        "aarch64" => &[0x1f, 0x20, 0x03, 0xd5],
        _ => return,
    };
    let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let sections = sections(&file);
    let notes = sections.iter().find(|section| section.name == ".note.stapsdt").expect("there are notes");
    let base = sections.iter().find(|section| section.name == ".stapsdt.base").expect("there is their base");
    let probes = probes(notes.bytes);
    assert!(!probes.is_empty());
    for Probe { address, base: then, name, arguments } in probes {
        assert_eq!(name, ["abaca", "event"]);
        assert_eq!(then, base.address, "nobody has moved the program");
        let place = sections.iter().find(|section| {
            section.flags & EXECUTABLE != 0
                && (section.address..section.address + section.bytes.len() as u64).contains(&address)
        });
        let place = place.unwrap_or_else(|| panic!("there is no code at {address:#x}"));
        assert!(place.bytes[(address - place.address) as usize..].starts_with(nop), "at {address:#x}");
        let registers: Vec<&str> = arguments.split(' ').filter_map(|one| one.strip_prefix("8@")).collect();
        let is_register = |name: &&str| {
            let name = name.strip_prefix('%').unwrap_or(name);
            name.len() > 1 && name.chars().all(|c| c.is_ascii_alphanumeric())
        };
        assert!(registers.len() == 3 && registers.iter().all(is_register), "{arguments}");
        let differ =
            registers[0] != registers[1] && registers[0] != registers[2] && registers[1] != registers[2];
        assert!(differ, "{arguments}");
    }
}
