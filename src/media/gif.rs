//! GIF animations, decoded here: GStreamer's demuxer for them never comes to the end of some files.
//!
//! A thread decodes and composes the pictures; `appsrc` hands them on when the pipeline asks for one. Nothing
//! waits for ever: the thread ends when nobody takes its pictures any more, and the pipeline gets the end, or
//! an error, when the thread is over for whatever reason.
//!
//! Invariant: at most [`AHEAD`] pictures and the one in work are in memory.

use std::io::{BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use image::codecs::gif::GifDecoder;
use image::{AnimationDecoder, ImageDecoder, Limits};

use super::transfer::{Input, ReadSeek};
use crate::error::{Error, Result};

/// Pictures decoded ahead.
const AHEAD: usize = 2;
/// Delays below this are taken for the default, as players do, in milliseconds.
const LEAST_DELAY: u64 = 20;
/// Time that a picture without a sensible delay is shown, in milliseconds.
const DEFAULT_DELAY: u64 = 100;

/// What the decoding thread says.
enum Step {
    /// A picture as packed rows of R, G, B and one more byte, and how long it is shown.
    Picture(Vec<u8>, gst::ClockTime),
    /// There is nothing more; the error when it is not the file's proper end.
    End(Option<String>),
}

/// What the source tells its owner, on a streaming thread.
pub enum Event {
    /// The file is broken behind so many pictures, at least one, in the way that the text says.
    Lost(u64, String),
    /// Nothing more will come.
    Failed(Error),
}

/// True when `input` starts like a GIF.
///
/// Source: CompuServe, Graphics Interchange Format version 89a, 17.
pub fn is_gif(input: &Input) -> bool {
    let mut head = [0u8; 6];
    let read = input.open().map(|mut file| file.read_exact(&mut head));
    matches!(read, Ok(Ok(()))) && matches!(&head, b"GIF87a" | b"GIF89a")
}

/// A source of the pictures of the GIF `gif`: composed and opaque, at their times.
///
/// `told` hears what goes wrong later.
///
/// Errors: a file that cannot be opened or has no valid head.
pub fn source(gif: &Input, told: impl Fn(Event) + Send + 'static) -> Result<gst::Element> {
    let input = gif.name().display().to_string();
    let broken = |error: image::ImageError| Error::media(&input, error.to_string());
    let mut decoder = GifDecoder::new(BufReader::new(gif.open()?)).map_err(broken)?;
    // Bounded: a few bytes can claim a picture of 65535 × 65535 pixels.
    decoder.set_limits(Limits::default()).map_err(broken)?;
    let (width, height) = decoder.dimensions();
    let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::Rgbx, width, height)
        // Each picture has its own length.
        .fps(gst::Fraction::new(0, 1))
        .build()
        .and_then(|info| info.to_caps())
        .map_err(|_| Error::media(&input, format!("{width}x{height} is no size of a picture")))?;

    let (steps, pictures) = sync_channel(AHEAD);
    std::thread::Builder::new()
        .name("gif".into())
        .spawn(move || decode(decoder, &steps))
        .map_err(|error| Error::io(gif.name(), "reading", error))?;
    let mut feed = Feed {
        input,
        pictures,
        count: 0,
        time: gst::ClockTime::ZERO,
        over: false,
    };
    let source = gst_app::AppSrc::builder()
        .caps(&info)
        .format(gst::Format::Time)
        .max_buffers(1)
        .callbacks(
            gst_app::AppSrcCallbacks::builder()
                .need_data(move |source, _| feed.next(source, &told))
                .build(),
        )
        .build();
    Ok(source.into())
}

/// Decodes until the end, the first error, or until nobody listens. A panic ends `steps` without a last word.
fn decode(decoder: GifDecoder<BufReader<Box<dyn ReadSeek>>>, steps: &SyncSender<Step>) {
    for frame in decoder.into_frames() {
        let step = match frame {
            Ok(frame) => {
                let (numerator, denominator) = frame.delay().numer_denom_ms();
                let delay = match u64::from(numerator / denominator.max(1)) {
                    0..LEAST_DELAY => DEFAULT_DELAY,
                    delay => delay,
                };
                Step::Picture(
                    frame.into_buffer().into_raw(),
                    gst::ClockTime::from_mseconds(delay),
                )
            }
            Err(error) => Step::End(Some(error.to_string())),
        };
        let last = matches!(step, Step::End(_));
        if steps.send(step).is_err() || last {
            return;
        }
    }
    // Nobody listens when the pipeline was stopped.
    let _ = steps.send(Step::End(None));
}

/// Hands pictures to the pipeline.
struct Feed {
    input: String,
    pictures: Receiver<Step>,
    count: u64,
    time: gst::ClockTime,
    over: bool,
}

impl Feed {
    fn next(&mut self, source: &gst_app::AppSrc, told: &impl Fn(Event)) {
        if self.over {
            return;
        }
        // What pushing returns is the state of the pipeline, which knows it itself.
        match self.pictures.recv() {
            Ok(Step::Picture(pixels, length)) => {
                let mut buffer = gst::Buffer::from_mut_slice(pixels);
                if let Some(buffer) = buffer.get_mut() {
                    buffer.set_pts(self.time);
                    buffer.set_duration(length);
                }
                self.time += length;
                self.count += 1;
                let _ = source.push_buffer(buffer);
                return;
            }
            Ok(Step::End(None)) => {
                let _ = source.end_of_stream();
            }
            Ok(Step::End(Some(problem))) if self.count > 0 => {
                told(Event::Lost(self.count, problem));
                let _ = source.end_of_stream();
            }
            Ok(Step::End(Some(problem))) => {
                told(Event::Failed(Error::media(&self.input, problem)));
            }
            Err(_) => told(Event::Failed(Error::media(
                &self.input,
                "decoding stopped because of an internal error; please report it",
            ))),
        }
        self.over = true;
    }
}
