// What the pages of both players have in common: watching a video play, and telling what was seen.

const query = new URLSearchParams(location.search);
const video = document.querySelector('video');
// Where it began to play; how far it has come since.
let start = null;
const played = () => start === null ? 0 : video.currentTime - start;
const complain = error => console.error('player: ' + error);

// Plays for as many seconds as the query says, and tells on the console of stalls, and once a second of play what `measures`, by their
// names, return.
function watch(measures) {
    const seen = { seconds: 0, stalls: [], each: [] };
    const round = number => Math.round(number * 1000) / 1000;
    const tell = () => {
        const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
        console.log('page-result: ' + JSON.stringify({ ...seen, totalVideoFrames, droppedVideoFrames }));
    };
    measures = {
        ...measures,
        buffered: () => video.buffered.end(video.buffered.length - 1) - video.currentTime,
        rate: () => video.playbackRate,
    };
    video.addEventListener('playing', () => start ??= video.currentTime);
    // A player that is late, since the browser was slow to start it, jumps to the live edge: it begins anew.
    video.addEventListener('seeking', () => {
        start = null;
        seen.seconds = 0;
        seen.each = [];
    });
    video.addEventListener('waiting', () => played() > 1 && seen.stalls.push(round(played())));
    video.addEventListener('error', () => complain(video.error.message));
    video.addEventListener('timeupdate', () => {
        if (played() < seen.seconds + 1) return;
        seen.seconds += 1;
        seen.each.push(Object.fromEntries(Object.entries(measures).map(([name, ask]) => [name, round(ask())])));
        if (seen.seconds === Number(query.get('seconds'))) tell();
    });
}
