//! Lines of an input as header fields.

use httpout_proto::http::{HeaderList, is_field_value};

/// The lines that can be values of a field, without white space at their ends, and fields of this
/// name with them.
pub(crate) fn fields<'d>(name: &str, data: &'d [u8]) -> (Vec<&'d [u8]>, HeaderList) {
    let lines = data.split(|&b| b == b'\n').map(<[u8]>::trim_ascii);
    let lines: Vec<_> = lines.filter(|line| is_field_value(line)).collect();
    let fields = lines.iter().map(|line| (name, *line)).collect();
    (lines, fields)
}
