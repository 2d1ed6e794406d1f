package dashscope

// codes is the error table: every code of the provider's error page (mid-2026
// edition) that the animate paths can give, the codes seen by other clients of
// these models, and the families at the end. It is read only.
var codes = []rule{
	// Account, permission, routing.
	{"invalidapikey", "", ClassKey, "the API key is not valid here: check it, and that it belongs to the region of the endpoint"},
	{"notauthorized", "", ClassAccount, "the key may not use this workspace, or the workspace does not exist"},
	{"arrearage", "", ClassAccount, "the account is overdue: settle the bill; after topping up, it takes a while until this is noticed"},
	{"accessdenied", "synchronous", ClassConfig, "the request did not reach the provider as an asynchronous one: a proxy may have dropped a header"},
	{"accessdenied", "policy", ClassRetry, "the upload policy expired; a new one is requested"}, // of the upload store
	{"accessdenied", "", ClassAccount, "the account may not use this model, or its quota is used up: check both in the console"},
	{"accessdenied.unpurchased", "", ClassAccount, "activate Model Studio for this account in the console"},
	{"model.accessdenied", "", ClassAccount, "grant the workspace access to this model in the console"},
	{"workspace.accessdenied", "", ClassAccount, "use a key of this workspace, or correct the workspace id"},
	{"app.accessdenied", "", ClassAccount, "use a key of this workspace, or correct the workspace id"},
	{"endpoint.accessdenied", "", ClassAccount, "the endpoint refuses the workspace: the model may have been retired there"},
	{"allocationquota.freetieronly", "", ClassAccount, "the free quota is used up: switch off \"free tier only\" in the console to pay for more"},
	{"workspacenotfound", "", ClassConfig, "correct the workspace id"},
	{"modelnotfound", "", ClassConfig, "correct the model name, and check that this region offers it"},
	{"invalidparameter", "model not exist", ClassConfig, ""},
	{"invalidparameter", "url error", ClassConfig, ""},
	{"notfound", "", ClassConfig, "the endpoint does not know the path: check the endpoint"},
	{"commoditynotpurchased", "", ClassAccount, "activate Model Studio for this account in the console"},
	{"prepaidbilloverdue", "", ClassAccount, "the prepaid bill is overdue: settle it"},
	{"postpaidbilloverdue", "", ClassAccount, "the bill is overdue: settle it"},

	// Limits. A 429 is a throttle only when its code says so.
	{"throttling", "", ClassThrottle, ""},
	{"throttling.ratequota", "", ClassThrottle, ""},
	{"limitrequests", "", ClassThrottle, ""},
	{"throttling.concurrency", "", ClassThrottle, ""},
	{"throttling.burstrate", "", ClassBurst, ""},
	{"limitburstrate", "", ClassBurst, ""},
	{"throttling.allocationquota", "free allocated quota", ClassAccount, "the free quota is used up: enable pay-as-you-go in the console"},
	{"throttling.allocationquota", "", ClassQuota, ""},
	{"insufficientquota", "free allocated quota", ClassAccount, "the free quota is used up: enable pay-as-you-go in the console"},
	{"insufficientquota", "", ClassQuota, ""},

	// Shape of the request.
	{"badrequest.inputdownloadfailed", "", ClassRetry, unreachable},
	{"invalidparameter.inputdownloadfailed", "", ClassRetry, unreachable},
	{"badrequest.emptyinput", "", ClassConfig, ""},
	{"badrequest.emptyparameters", "", ClassConfig, ""},
	{"badrequest.emptymodel", "", ClassConfig, ""},
	{"badrequest.illegalinput", "", ClassConfig, ""},
	{"badrequest.toolarge", "", ClassConfig, ""},
	{"unsupportedoperation", "", ClassInput, "the task is already running or has ended; only a waiting task can be canceled"},

	// Fetching the media.
	{"invalidurl", "", ClassInput, "correct the URL; it must be public and lead to a supported format"},
	{"invalidurl.connectionrefused", "", ClassRetry, unreachable},
	{"invalidurl.timeout", "", ClassRetry, "the provider could not fetch the file in time: serve it faster, or from object storage in the same region"},
	{"invalidparameter.datainspection", "authorization", ClassInput, ""},
	{"invalidparameter.datainspection", "unable to download", ClassRetry, unreachable},
	{"invalidparameter.datainspection", "timed out", ClassRetry, unreachable},
	{"invalidparameter.datainspection", "failed to find", ClassRetry, unreachable},
	{"invalidparameter.datainspection", "", ClassInput, "sign the URL again if it has expired, and use a supported format and a URL that ends in its extension"},
	{"invalidparameter", "", ClassConfig, "correct the model, the mode or the endpoint: the message names what was refused"},
	{"invalidfile.downloadfailed", "", ClassRetry, unreachable},

	// The temporary store for uploads (OSS, in XML).
	{"filealreadyexists", "", ClassRetry, "the name was taken; the file is uploaded under another"},
	{"entitytoolarge", "", ClassInput, "the provider's temporary store takes no file of this size: give a URL, or set inputs.store"},
	{"signaturedoesnotmatch", "", ClassRetry, ""},
	{"invalidaccesskeyid", "", ClassRetry, ""},
	{"invalidpolicydocument", "", ClassRetry, ""},
	{"securitytokenexpired", "", ClassRetry, ""},

	// Content of the media: the same verdict on every try.
	{"invalidimage.nohuman", "", ClassInput, noPersonImage},
	{"invalidimage.nohumanface", "", ClassInput, "use an image that shows a face"},
	{"invalidimage.fullface", "", ClassInput, "use an image with a whole, unobstructed face"},
	{"invalidimage.frontbody", "", ClassInput, "use an image of a person who faces the camera"},
	{"invalidimage.resolution", "", ClassInput, "each side of the image must be 200 to 4096 pixels"},
	{"invalidimageresolution", "", ClassInput, "each side of the image must be 200 to 4096 pixels"},
	{"invalidimage.fileformat", "", ClassInput, "use a valid JPG, PNG, BMP or WEBP image"},
	{"invalidimageformat", "", ClassInput, "use a valid JPG, PNG, BMP or WEBP image"},
	{"invalidimage.imagesize", "", ClassInput, "the image must be at most 5 MB"},
	{"invalidvideo.nohuman", "", ClassInput, "use a video that shows one person"},
	{"invalidvideo.fullface", "", ClassInput, "use a video whose face is never hidden or cropped"},
	{"invalidvideo.frontbody", "", ClassInput, "use a video that starts with the person facing the camera"},
	{"invalidvideo.resolution", "", ClassInput, "each side of the video must be 200 to 2048 pixels"},
	{"invalidvideo.duration", "", ClassInput, "the video must last more than 2 and less than 30 seconds"},
	{"invalidvideo.fileformat", "", ClassInput, "use an MP4, AVI or MOV video"},
	{"invalidfile.size", "", ClassInput, "the image must be at most 5 MB and the video at most 200 MB"},
	{"invalidfile.duration", "", ClassInput, "the video must last more than 2 and less than 30 seconds"},
	{"invalidfile.resolution", "", ClassInput, "sides must be 200 to 4096 pixels (image) or 200 to 2048 pixels (video)"},
	{"invalidfile.aspectratio", "", ClassInput, "the aspect ratio must lie between 1:3 and 3:1"},
	{"invalidfile.fps", "", ClassInput, "use a video of a common frame rate"},
	{"invalidfile.format", "", ClassInput, ""},
	{"invalidfile.openerror", "", ClassInput, "the file cannot be opened: it may be damaged"},
	{"invalidfile.value", "", ClassInput, "the image or the video is too dark"},
	{"invalidfile.nohuman", "", ClassInput, ""},
	{"invalidfile.multihuman", "", ClassInput, "only one person may be visible"},
	{"invalidfile.fullface", "", ClassInput, ""},
	{"invalidfile.facepose", "", ClassInput, ""},
	{"invalidfile.frontbody", "", ClassInput, ""},
	{"invalidfile.bodypose", "", ClassInput, ""},
	{"invalidfile.bodyproportion", "", ClassInput, ""},
	{"invalidfile.fullbody", "", ClassInput, ""},
	{"invalidfile.content", "", ClassInput, ""},
	{"invalidperson", "", ClassInput, "exactly one person must be visible"},

	// Moderation.
	{"datainspectionfailed", "", ClassInput, moderated},
	{"ipinfringementsuspect", "", ClassInput, moderated},
	{"customroleblocked", "", ClassInput, "a rule of this account blocks the content"},

	// The provider's side.
	{"internalerror", "", ClassRetry, ""},
	{"internalerror.algo", "", ClassRetry, "the model failed on this pair; if it does so again, the picture or the video may be damaged or unsuitable"},
	{"internalerror.timeout", "", ClassRetry, "the provider gave no result within its own time limit; try again later"},
	{"internalerror.fileupload", "", ClassRetry, ""},
	{"internalerror.upload", "", ClassRetry, ""},
	{"systemerror", "", ClassRetry, ""},
	{"modelservicefailed", "", ClassRetry, ""},
	{"requesttimeout", "", ClassRetry, ""},
	{"responsetimeout", "", ClassRetry, ""},
	{"modelservingerror", "", ClassThrottle, ""},
	{"modelunavailable", "", ClassRetry, ""},
	{"serviceunavailable", "", ClassRetry, ""},

	// Families, for codes that are not listed above.
	{"invalidimage*", "", ClassInput, ""},
	{"invalidvideo*", "", ClassInput, ""},
	{"invalidfile*", "", ClassInput, ""},
	{"invalidperson*", "", ClassInput, ""},
	{"invalidurl*", "", ClassInput, ""},
	{"accessdenied.*", "", ClassAccount, ""},
	{"allocationquota.*", "", ClassAccount, ""},
	{"throttling.*", "", ClassThrottle, ""},
	{"badrequest.*", "", ClassConfig, ""},
	{"invalidparameter.*", "", ClassConfig, ""},
	{"internalerror.*", "", ClassRetry, ""},
}

// Sentences that several codes share.
const (
	unreachable   = "the provider could not fetch the file: serve it from a public address, best from object storage in the same region"
	noPersonImage = "use an image that shows one person"
	moderated     = "the provider's content check refused this pair; it cannot be switched off"
)
