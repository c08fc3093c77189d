# Makes an install tree with names and links that are easily got wrong.
set -eu
package="$1/lib/python3.11/site-packages/odd"
mkdir -p "$package/real"
cd "$package"
for name in 'a space.py' 'back\slash.py' 'equals=.py' 'quo"te.py' 'dollar$(x).py' 'é.py' '日本.py'; do
    printf 'NAME = %s\n' "$name" >"$name"
    printf 'INNER = %s\n' "$name" >"real/$name"
done
ln -s 'a space.py' link.py
ln -s 'real/é.py' 'link é.py'
ln -s real linked
ln -s ../日本.py real/up.py
