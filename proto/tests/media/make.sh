#!/usr/bin/env bash
# Makes the streams that the tests of framing read. They are kept in the repository: another ffmpeg makes others.
# Needs ffmpeg with libx264, libmp3lame, libtwolame, libvorbis, libopus, libtheora and libvpx.
set -euo pipefail
cd "$(dirname "$0")"

make() { ffmpeg -nostdin -v error -y "$@"; }
video=(-f lavfi -i 'testsrc=size=64x48:rate=10')
audio=(-f lavfi -i 'sine=frequency=440:sample_rate=44100')
opus=(-f lavfi -i 'sine=frequency=440:sample_rate=48000')
both=(-t 3 -fflags +bitexact -flags:v +bitexact -flags:a +bitexact)
sound=(-t 2 -fflags +bitexact -flags:a +bitexact)
h264=(-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 10 -bf 0 -b:v 40k)
aac=(-c:a aac -ac 1 -b:a 24k)

make "${audio[@]}" "${sound[@]}" -c:a libmp3lame -ac 1 -ar 22050 -b:a 32k -id3v2_version 3 -write_id3v1 1 \
  -metadata title=Tone -metadata artist=Nobody cbr.mp3
make "${audio[@]}" "${sound[@]}" -c:a libmp3lame -q:a 8 -metadata title=Tone vbr.mp3
make "${audio[@]}" "${sound[@]}" -c:a libtwolame -ac 1 -b:a 32k layer2.mp2
make "${audio[@]}" "${sound[@]}" "${aac[@]}" -f adts tone.aac
make "${video[@]}" "${audio[@]}" "${both[@]}" "${h264[@]}" "${aac[@]}" -f mpegts film.ts
make "${audio[@]}" "${sound[@]}" "${aac[@]}" -f mpegts tone.ts
make "${video[@]}" "${audio[@]}" "${both[@]}" "${h264[@]}" "${aac[@]}" -frag_duration 500000 \
  -movflags +frag_keyframe+empty_moov+default_base_moof film.mp4
make "${audio[@]}" "${sound[@]}" "${aac[@]}" -frag_duration 300000 -movflags +empty_moov+default_base_moof tone.mp4
make "${audio[@]}" "${sound[@]}" "${aac[@]}" -t 0.2 progressive.mp4
make "${audio[@]}" "${sound[@]}" -c:a libvorbis -q:a 0 -ac 1 -page_duration 200000 vorbis.ogg
make "${opus[@]}" "${sound[@]}" -c:a libopus -b:a 24k -page_duration 200000 opus.ogg
make "${audio[@]}" "${sound[@]}" -t 0.5 -c:a flac -ar 16000 -page_duration 100000 flac.ogg
make "${video[@]}" "${audio[@]}" "${both[@]}" -c:v libtheora -g 10 -b:v 40k -c:a libvorbis -q:a 0 -ac 1 \
  -page_duration 200000 film.ogv
make "${video[@]}" "${opus[@]}" "${both[@]}" -c:v libvpx -g 10 -b:v 40k -deadline realtime -c:a libopus -b:a 24k \
  -live 1 live.webm
make "${video[@]}" "${opus[@]}" "${both[@]}" -t 2 -c:v libvpx -g 10 -b:v 40k -deadline realtime -c:a libopus -b:a 24k film.webm
make "${opus[@]}" "${sound[@]}" -c:a libopus -b:a 24k -cluster_time_limit 500 tone.webm
