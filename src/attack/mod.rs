//! Attacks on redacted faces and plates: how far an attacker gets who knows the style, its settings and this program.
//!
//! - [`faces`]: whose face is it? By pixels, by a classifier trained on redacted pictures, by a recognition model.
//! - [`plates`]: what does the plate say? By a matcher that knows font and layout, by Tesseract.
//! - [`rebuild`]: what did it look like? By least squares from many frames, or from one and the known kernel.
//!
//! Invariants: nothing here is used by what redacts. A recognition model is loaded only when the user names one. The same
//! seed and pictures give the same figures.
//!
//! Sources: R. McPherson et al., *Defeating Image Obfuscation with Deep Learning*, 2016; E. Newton et al., *Preserving Privacy
//! by De-identifying Face Images*, 2005 (the attacker who redacts the gallery); L. Hill et al., *On the (In)effectiveness of
//! Mosaicing and Blurring as Tools for Document Redaction*, PETS 2016.

pub mod disguise;
pub mod faces;
mod peers;
pub mod picture;
pub mod plates;
mod random;
pub mod rebuild;
pub mod recognition;
pub mod report;
mod ridge;
pub mod statistics;
mod tesseract;
