# What the language says of itself.
version
help mesh
help .sort
help vm kill
help vm st
help vm kill web1
help backchannel
help vm lunch
help nothing
apropos uplink
apropos UPLINK
apropos zebra
echo
echo one  'two  three'
help exit
