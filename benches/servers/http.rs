//! The hello service: the same few lines over whatever moves the bytes.

const HELLO: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!";

/// Answers the complete requests at the beginning of `bytes` into `answers`; returns how many bytes they took, or
/// `None` for garbage.
pub(crate) fn answer(bytes: &[u8], answers: &mut Vec<u8>) -> Option<usize> {
    let mut taken = 0;
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        match httparse::Request::new(&mut headers).parse(&bytes[taken..]) {
            Ok(httparse::Status::Complete(length)) => {
                answers.extend_from_slice(HELLO);
                taken += length;
            }
            Ok(httparse::Status::Partial) => return Some(taken),
            Err(_) => return None,
        }
    }
}

/// One connection of the hello service over blocking calls.
pub(crate) fn serve_blocking(stream: &mut (impl std::io::Read + std::io::Write)) -> std::io::Result<()> {
    let mut buffer = vec![0; 4096];
    let mut answers = Vec::with_capacity(4096);
    let mut filled = 0;
    loop {
        let length = stream.read(&mut buffer[filled..])?;
        if length == 0 {
            return Ok(());
        }
        filled += length;
        let Some(taken) = answer(&buffer[..filled], &mut answers) else { return Ok(()) };
        stream.write_all(&answers)?;
        answers.clear();
        buffer.copy_within(taken..filled, 0);
        filled -= taken;
    }
}

/// One connection of the echo service over blocking calls, with a heap buffer of 1 KiB as in all models.
pub(crate) fn echo_blocking(stream: &mut (impl std::io::Read + std::io::Write)) -> std::io::Result<()> {
    let mut buffer = vec![0; 1024];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length])?;
    }
}
