import type { LanguageCase } from './types.ts';

/** Writes its arguments one a line, so that words and quotes are seen. */
const SHOW = 'for w; do echo "<$w>"; done';

export const VALUE_CASES: readonly LanguageCase[] = [
  {
    name: 'all pairs of one ENV see the values before it',
    dockerfile: 'FROM scratch\nENV a=1\nENV a=2 b=$a c=${b:-none}\nENV d=$a$b\nLABEL a=$a b="$b" c=\'$a\'',
  },
  {
    name: 'the key of ENV and LABEL is expanded, too',
    dockerfile: 'FROM scratch\nENV k=key v=val\nENV ${k}2=$v $k=again\nLABEL $k.$v=1 "q $k"=2 \'s $k\'=3',
  },
  {
    name: 'ENV in its old form takes the rest of the line',
    dockerfile:
      'FROM scratch\nENV a hello   "big" world\\ x\nENV b \'q\' "r"  \nENV c $a  end\nENV d\t tab\tbed\nLABEL old the "rest" of $a\nLABEL "quoted key" some  value',
  },
  {
    name: 'ENV with quotes, escapes and empty values',
    dockerfile:
      'FROM scratch\nENV a="b c" d=e\\ f g=\'h "i" $a\' j="k\\"l" m= n="" o="\\$a" p=\\$a q="$a"\'$a\'$a\nENV r="a\\\\b" s=a\\\\b t="\\a" u=\'\\a\'',
  },
  { name: 'ENV without a value', dockerfile: 'FROM scratch\nENV a' },
  { name: 'ENV with a pair and a word', dockerfile: 'FROM scratch\nENV a=b c' },
  { name: 'ENV with an empty key', dockerfile: 'FROM scratch\nENV =b' },
  {
    name: 'ENV over lines, with comments and blank lines between',
    dockerfile: 'FROM scratch\nENV a=1 \\\n  # a comment\n  b=2 \\\n\n  c="3 \\\n  4" \\\n#another\n  d=5',
  },
  { name: 'ENV replaces a value where it was', dockerfile: 'FROM @base\nENV b=1 a=2\nENV PATH=/x:$PATH b=3\nENV a=' },
  {
    name: 'what is unset is empty, a dollar without a name stays',
    dockerfile: `FROM @base\nENV a=$none- b=$ c="$ " d=$1x e=\${none} f=$@y g="$" h=a$ i=$\\{x}\nENV j=\${a}b k=\${a:+yes} l=\${none:+no} m=\${none:-or $b} n=\${none-x} o=\${a+set}`,
  },
  {
    name: 'defaults within defaults',
    dockerfile:
      'FROM scratch\nENV a=${x:-${y:-z}} b=${x:-"q r"} c=${x:-\'$y\'} d=${PATH:+${x:-in}} e="${x:-a b}" f=${x:-} g=${x:+} e2=${x-}',
  },
  {
    name: 'an empty value is unset only to the forms with a colon',
    dockerfile: 'FROM scratch\nENV e=""\nENV a=${e:-d} b=${e-d} c=${e:+s} d=${e+s}',
  },
  { name: 'a value that has to be there', dockerfile: 'FROM scratch\nENV a=${x:?must be given}' },
  { name: 'a value that has to be there, and is', dockerfile: 'FROM scratch\nENV x=1\nENV a=${x:?no} b=${x?no}' },
  { name: 'a value that has to be there, with no colon', dockerfile: 'FROM scratch\nENV a=${x?}' },
  {
    name: 'prefixes and suffixes are cut',
    dockerfile:
      'FROM scratch\nENV p=/a/b/c.tar.gz q=aXbXc\nENV a=${p#*/} b=${p##*/} c=${p%.*} d=${p%%.*} e=${q#*X} f=${q##*X} g=${q%X*} h=${q%%X*} i=${q#?} j=${q%?} k=${p#/x} l=${q##*} m=${none#a}',
  },
  {
    name: 'patterns are escaped',
    dockerfile: 'FROM scratch\nENV p=a*b*c q="a?b"\nENV a=${p#a\\*} b=${p%\\**} c=${q%\\?b} d=${q#a?}',
  },
  {
    name: 'text is replaced, once and everywhere',
    dockerfile:
      'FROM scratch\nENV p=a.b.c\nENV a=${p/./-} b=${p//./-} c=${p/x/y} d=${p//./} e=${p/b*/z} f=${p//?./q} g=${p/./\\/} h=${none/a/b}',
  },
  {
    name: 'a replacement with a variable',
    dockerfile: 'FROM scratch\nENV p=a.b v=+\nENV a=${p/./$v} b=${p//${none:-.}/_}',
  },
  { name: 'a modifier that is none', dockerfile: 'FROM scratch\nENV a=${x!y}' },
  { name: 'a modifier behind a colon that is none', dockerfile: 'FROM scratch\nENV a=${x:#y}' },
  { name: 'a brace that is left open', dockerfile: 'FROM scratch\nENV a=${x' },
  { name: 'a quote that is left open', dockerfile: 'FROM scratch\nENV a="x' },
  { name: 'a single quote that is left open', dockerfile: "FROM scratch\nENV a='x" },
  {
    name: 'where values are put in',
    dockerfile:
      'FROM @base\nENV v=1 p=8080 u=app w=dir s=9\nWORKDIR /$w/${v}\nUSER $u:${none:-extra}\nEXPOSE $p $p/udp\nVOLUME /$w [\nVOLUME ["/$v","${w}"]\nSTOPSIGNAL $s\nLABEL $v=${p}\nMAINTAINER $v x',
  },
  {
    name: 'where values are left alone',
    dockerfile:
      'FROM scratch\nENV v=1\nCMD ["$v"]\nENTRYPOINT echo ${v}\nSHELL ["$v"]\nHEALTHCHECK --retries=3 CMD $v\nONBUILD ENV x=$v',
  },
  {
    name: 'ARG before FROM is for FROM only',
    dockerfile:
      'ARG i=base x=global\nFROM ${x:+@base}\nARG e=${x:-unset}\nENV a=$e b=${x:-unset}\nARG x\nENV c=$x\nFROM @base AS two\nENV d=${x:-unset}',
    args: ['--target', '0'],
    newer: true,
  },
  {
    name: 'ARG again takes the global value, or its own default',
    dockerfile: 'ARG x=global y=global\nFROM scratch\nARG x y=own z\nENV x=$x y=$y z=${z:-none}',
  },
  {
    name: 'ARG from outside beats all defaults',
    dockerfile: 'ARG x=global y=global\nFROM scratch\nARG x\nARG y=own\nARG z=own\nENV x=$x y=$y z=$z',
    args: ['--build-arg', 'x=out', '--build-arg', 'y=out', '--build-arg', 'z='],
  },
  {
    name: 'ARG from the environment, and one that is not there',
    dockerfile: 'FROM scratch\nARG x=own\nARG y=own\nENV x=$x y=$y',
    args: ['--build-arg', 'x', '--build-arg', 'y'],
    env: { x: 'outside' },
  },
  {
    name: 'ARG whose default takes earlier ones',
    dockerfile: 'ARG a=1\nARG b=${a}2 c=$b\nFROM scratch\nARG a b c\nARG d=$a$b e="$d x"\nENV v=$a-$b-$c-$d-$e',
  },
  {
    name: 'several names in one ARG see each other',
    dockerfile: 'FROM scratch\nARG a=1 b=$a c\nENV v=$a-$b-${c:-none}',
  },
  { name: 'ARG with quotes and spaces', dockerfile: 'FROM scratch\nARG a="b c" d=\'e $f\' g=h\\ i\nENV v=$a-$d-$g' },
  {
    name: 'ARG is not in the image, but in the steps and their history',
    dockerfile:
      'FROM @base\nARG a=1\nARG none\nRUN echo "$a" "${none-unset}" > /x\nENV b=2\nARG c="x y"\nRUN env | grep -c "^[abc]=" > /y',
  },
  {
    name: 'ARG in stages that stand on another',
    dockerfile:
      'FROM @base AS one\nARG a=1\nARG b\nFROM one AS two\nRUN echo "$a $b" > /x\nENV v=$a\nFROM one\nARG a=2\nRUN echo $a > /y\nCOPY --from=two /x /',
    args: ['--build-arg', 'b=out'],
  },
  {
    name: 'ARG in a sibling is not there',
    dockerfile: 'FROM @base AS one\nARG a=1\nRUN echo $a > /1\nFROM @base\nCOPY --from=one /1 /\nRUN echo "<$a>" > /2',
  },
  {
    name: 'ENV then ARG: the step sees ARG, the image keeps ENV',
    dockerfile: 'FROM @base\nENV a=env\nARG a=arg\nRUN echo $a > /x\nENV b=$a',
    args: [],
  },
  {
    name: 'ARG then ENV: ENV',
    dockerfile: 'FROM @base\nARG a=arg\nENV a=env\nRUN echo $a > /x\nENV b=$a',
    args: ['--build-arg', 'a=out'],
  },
  {
    name: 'ENV of the base against ARG',
    dockerfile: 'FROM @base AS b\nENV a=env\nFROM b\nARG a\nARG a=def\nRUN echo $a > /x\nENV c=$a',
  },
  {
    name: 'platforms have to be asked for',
    dockerfile:
      'FROM --platform=$BUILDPLATFORM @base\nRUN echo "<$TARGETARCH$BUILDOS>" > /1\nARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT BUILDPLATFORM BUILDOS BUILDARCH TARGETSTAGE\nRUN echo "$TARGETOS ${TARGETVARIANT-unset} $TARGETSTAGE" > /2; test "$TARGETPLATFORM" = "$TARGETOS/$TARGETARCH"; test "$BUILDPLATFORM" = "$BUILDOS/$BUILDARCH"\nENV a=$TARGETOS',
    args: ['--platform', 'linux/amd64'],
  },
  {
    name: 'platforms with a default of the file, and from outside',
    dockerfile:
      'FROM scratch\nARG TARGETARCH=own\nARG TARGETOS=own\nARG BUILDOS\nENV a=$TARGETARCH o=$TARGETOS b=$BUILDOS',
    args: ['--build-arg', 'TARGETOS=out', '--build-arg', 'BUILDOS=out'],
  },
  {
    name: 'the stage that is built is known',
    dockerfile:
      'FROM scratch AS one\nARG TARGETSTAGE\nENV s=$TARGETSTAGE\nFROM one AS two\nARG TARGETSTAGE\nENV t=$TARGETSTAGE',
    args: ['--target', 'TWO'],
    newer: true,
  },
  {
    name: 'the global TARGETSTAGE chooses a base',
    dockerfile:
      'FROM scratch AS base-rel\nENV r=1\nFROM scratch AS base-dev\nENV d=1\nFROM base-${TARGETSTAGE} AS dev\nFROM base-rel AS rel',
    args: ['--target', 'dev'],
    newer: true,
  },
  {
    name: 'proxies are in steps only',
    dockerfile:
      'FROM @base\nRUN echo "$HTTP_PROXY $no_proxy $ALL_PROXY" > /1\nENV v=${HTTP_PROXY:-unset}\nARG HTTP_PROXY\nRUN echo "$HTTP_PROXY" > /2\nENV w=${HTTP_PROXY:-unset}',
    args: ['--build-arg', 'HTTP_PROXY=http://127.0.0.1:1', '--build-arg', 'no_proxy=x', '--build-arg', 'ALL_PROXY=y'],
  },
  {
    name: 'quotes in global arguments and in FROM',
    dockerfile: 'ARG i="@base" t=\'latest\'\nARG n=${i}:$t\nFROM "${n}" AS one\nFROM one\nENV a=1',
  },
  { name: 'FROM with an argument that is not there', dockerfile: 'ARG i\nFROM $i\nENV a=1' },
  { name: 'FROM with an argument of a stage', dockerfile: 'FROM scratch AS one\nARG n=one\nFROM $n\nENV a=1' },
  { name: 'FROM with a default', dockerfile: 'ARG none\nFROM ${none:-scratch}\nENV a=1' },
  {
    name: 'FROM a stage by an argument',
    dockerfile: 'ARG which=two\nFROM scratch AS one\nENV a=1\nFROM scratch AS two\nENV a=2\nFROM ${which}\nENV b=1',
  },
  {
    name: 'ENV beats nothing outside: build arguments need ARG',
    dockerfile: 'FROM @base\nENV a=1\nRUN echo "$a $b" > /x',
    args: ['--build-arg', 'a=out', '--build-arg', 'b=out'],
  },
  { name: 'an ARG name in quotes', dockerfile: 'FROM scratch\nARG "a"=1\nENV v=$a' },
  { name: 'an ARG name with a dash', dockerfile: 'FROM scratch\nARG a-b=1\nENV v=${a-b} w=${a-b=1}' },
  {
    name: 'names with digits and underlines',
    dockerfile: 'FROM scratch\nENV _a1=x A_2=y\nENV v=$_a1$A_2 w=$_a1-b x=${_a1}b y=$A_2b',
  },
  {
    name: 'WORKDIR and variables',
    dockerfile:
      'FROM scratch\nENV d=/a e=b\nWORKDIR $d\nWORKDIR $e/${none}c\nWORKDIR ..\nWORKDIR "sp ace"\nWORKDIR \'q\'\nWORKDIR x\\ y',
  },
  {
    name: 'escape by backtick',
    dockerfile:
      '# escape=`\nFROM scratch\nENV a=C:\\dir\\ b=`$c d="x`"y" `\n  e=\\$a\nLABEL p="a\\b" q=a` b\nCOPY a `\n  /x/',
    files: { a: 'a' },
  },
  {
    name: 'what the shell sees',
    dockerfile: `FROM @base\nENV a="x y"\nARG b='p  q'\nRUN set -- $a "$a" '$a' "$b" \\$a \\\\ "\\\\"; ${SHOW} > /1\nRUN ["sh", "-c", "echo $a '$0' > /2", "zero"]\nRUN echo 'a # b' # a comment of the shell\nRUN echo one; \\\n  # gone\n  echo two # three \\\n  > /3`,
  },
  {
    name: 'LABEL in many forms',
    dockerfile:
      'FROM scratch\nLABEL a=1 "b"="2 3" c=\'4\' d="5\\\n6" e= "f g"=h i.j-k/l=m\nLABEL a=2 \\\n  n="o\\"p"\nLABEL z="{\\"j\\": [1]}" u=ü\nLABEL multi="line one\\n\\\nline two"',
  },
  {
    name: 'labels from outside win',
    dockerfile: 'FROM scratch AS one\nLABEL a=1 b=2\nFROM one\nLABEL c=3',
    args: ['--label', 'a=out', '--label', 'd', '--label', 'e=f=g h'],
  },
  { name: 'PATH is kept where there is none', dockerfile: 'FROM scratch\nLABEL a=1' },
  { name: 'PATH is kept where it is set', dockerfile: 'FROM scratch\nENV PATH=/x\nENV PATH=$PATH:/y' },
  {
    name: 'BUILDKIT_* arguments',
    dockerfile:
      'FROM @base\nARG BUILDKIT_SANDBOX_HOSTNAME\nRUN hostname > /h; echo "<$BUILDKIT_SANDBOX_HOSTNAME>" >> /h',
    args: ['--build-arg', 'BUILDKIT_SANDBOX_HOSTNAME=given', '--build-arg', 'BUILDKIT_MULTI_PLATFORM=0'],
  },
  {
    name: 'a hostname of its own',
    dockerfile: 'FROM @base\nRUN hostname > /h; cat /proc/sys/kernel/hostname >> /h; echo "$HOSTNAME" >> /h',
  },
];
