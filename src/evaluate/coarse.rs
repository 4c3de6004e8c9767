//! Coarse pictures: means of cells, the same number of them whatever the picture's size.

/// Columns and rows of cells.
pub const CELLS: (usize, usize) = (64, 36);

/// The means of the cells of a plane of `width` by `height` samples without gaps, row by row; 0 for cells without samples.
pub fn coarse(plane: &[u8], (width, height): (usize, usize)) -> Vec<f32> {
    let edge = |index: usize, count: usize, length: usize| index * length / count;
    let mut cells = Vec::with_capacity(CELLS.0 * CELLS.1);
    for row in 0..CELLS.1 {
        let rows = edge(row, CELLS.1, height)..edge(row + 1, CELLS.1, height);
        for column in 0..CELLS.0 {
            let columns = edge(column, CELLS.0, width)..edge(column + 1, CELLS.0, width);
            let count = (rows.len() * columns.len()).max(1);
            let lines = rows
                .clone()
                .map(|y| &plane[y * width..][columns.start..columns.end]);
            let sum: u64 = lines.flatten().map(|&value| u64::from(value)).sum();
            cells.push(sum as f32 / count as f32);
        }
    }
    cells
}
