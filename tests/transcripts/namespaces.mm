# namespaces come and go; the default one comes back
namespace
namespace red
namespace
namespace red
namespace blue vm launch kvm a
namespace
clear namespace
namespace
clear namespace nothing
clear namespace blue
namespace a/b
namespace ..
clear namespace minimega
namespace
ns queueing
namespace red ns queueing true
namespace red ns queueing
namespace red ns flush
namespace red ns schedule
capture pcap vm a 0 x
echo hello world
.csv true
namespace
.csv false
.json namespace
.headers false namespace
.annotate namespace
clear namespace all
