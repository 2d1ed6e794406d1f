package dashscope

// codes is the error table: every code of the provider's error page (mid-2026
// edition) that the animate paths can give, the codes seen by other clients of
// these models, and the families at the end. It is read only.
var codes = []rule{
	// Account, permission, routing.
	{"invalidapikey", "", ClassKey, "The API key is not valid here: check it, and that it belongs to the region of the endpoint."},
	{"notauthorized", "", ClassAccount, "The key may not use this workspace, or the workspace does not exist."},
	{"arrearage", "", ClassAccount, "The account is overdue: settle the bill; it takes a while to be seen after topping up."},
	{"accessdenied", "synchronous", ClassConfig, "The request did not reach the provider as an asynchronous one: a proxy may have dropped a header."},
	{"accessdenied", "policy", ClassRetry, "The leave to upload had ended; another is asked for."}, // of the upload store
	{"accessdenied", "", ClassAccount, "The account may not use this model, or its quota is used up: check both in the console."},
	{"accessdenied.unpurchased", "", ClassAccount, "Activate Model Studio for this account in the console."},
	{"model.accessdenied", "", ClassAccount, "Grant the workspace access to this model in the console."},
	{"workspace.accessdenied", "", ClassAccount, "Use a key of this workspace, or correct the workspace id."},
	{"app.accessdenied", "", ClassAccount, "Use a key of this workspace, or correct the workspace id."},
	{"endpoint.accessdenied", "", ClassAccount, "The endpoint refuses the workspace: the model may have been retired there."},
	{"allocationquota.freetieronly", "", ClassAccount, "The free quota is used up: switch off \"free tier only\" in the console to pay for more."},
	{"workspacenotfound", "", ClassConfig, "Correct the workspace id."},
	{"modelnotfound", "", ClassConfig, "Correct the model name, and check that this region offers it."},
	{"invalidparameter", "model not exist", ClassConfig, ""},
	{"invalidparameter", "url error", ClassConfig, ""},
	{"notfound", "", ClassConfig, "The endpoint does not know the path: check the endpoint."},
	{"commoditynotpurchased", "", ClassAccount, "Activate Model Studio for this account in the console."},
	{"prepaidbilloverdue", "", ClassAccount, "The prepaid bill is overdue: settle it."},
	{"postpaidbilloverdue", "", ClassAccount, "The bill is overdue: settle it."},

	// Limits. A 429 is a throttle only when its code says so.
	{"throttling", "", ClassThrottle, ""},
	{"throttling.ratequota", "", ClassThrottle, ""},
	{"limitrequests", "", ClassThrottle, ""},
	{"throttling.concurrency", "", ClassThrottle, ""},
	{"throttling.burstrate", "", ClassBurst, ""},
	{"limitburstrate", "", ClassBurst, ""},
	{"throttling.allocationquota", "free allocated quota", ClassAccount, "The free quota is used up: enable pay-as-you-go in the console."},
	{"throttling.allocationquota", "", ClassQuota, ""},
	{"insufficientquota", "free allocated quota", ClassAccount, "The free quota is used up: enable pay-as-you-go in the console."},
	{"insufficientquota", "", ClassQuota, ""},

	// Shape of the request.
	{"badrequest.inputdownloadfailed", "", ClassRetry, unreachable},
	{"invalidparameter.inputdownloadfailed", "", ClassRetry, unreachable},
	{"badrequest.emptyinput", "", ClassConfig, ""},
	{"badrequest.emptyparameters", "", ClassConfig, ""},
	{"badrequest.emptymodel", "", ClassConfig, ""},
	{"badrequest.illegalinput", "", ClassConfig, ""},
	{"badrequest.toolarge", "", ClassConfig, ""},
	{"unsupportedoperation", "", ClassInput, "The task runs already or has ended; only a waiting task can be cancelled."},

	// Fetching the media.
	{"invalidurl", "", ClassInput, "Correct the URL; it must be public and lead to a supported format."},
	{"invalidurl.connectionrefused", "", ClassRetry, unreachable},
	{"invalidurl.timeout", "", ClassRetry, "The provider could not fetch the file in time: serve it faster, or from object storage in the same region."},
	{"invalidparameter.datainspection", "authorization", ClassInput, ""},
	{"invalidparameter.datainspection", "unable to download", ClassRetry, unreachable},
	{"invalidparameter.datainspection", "timed out", ClassRetry, unreachable},
	{"invalidparameter.datainspection", "failed to find", ClassRetry, unreachable},
	{"invalidparameter.datainspection", "", ClassInput, "Sign the URL anew if it has expired, and use a supported format and a URL that ends in its extension."},
	{"invalidparameter", "", ClassConfig, "Correct the model, the mode or the endpoint: the message names what was refused."},
	{"invalidfile.downloadfailed", "", ClassRetry, unreachable},

	// The temporary store for uploads (OSS, in XML).
	{"filealreadyexists", "", ClassRetry, "The name was taken; the file is uploaded under another."},
	{"entitytoolarge", "", ClassInput, "The provider's temporary store takes no file of this size: give a URL, or set inputs.store."},
	{"signaturedoesnotmatch", "", ClassRetry, ""},
	{"invalidaccesskeyid", "", ClassRetry, ""},
	{"invalidpolicydocument", "", ClassRetry, ""},
	{"securitytokenexpired", "", ClassRetry, ""},

	// Content of the media: the same verdict on every try.
	{"invalidimage.nohuman", "", ClassInput, noPersonImage},
	{"invalidimage.nohumanface", "", ClassInput, "Use an image that shows a face."},
	{"invalidimage.fullface", "", ClassInput, "Use an image with a whole, unobstructed face."},
	{"invalidimage.frontbody", "", ClassInput, "Use an image of a person who faces the camera."},
	{"invalidimage.resolution", "", ClassInput, "Each side of the image must be 200 to 4096 pixels."},
	{"invalidimageresolution", "", ClassInput, "Each side of the image must be 200 to 4096 pixels."},
	{"invalidimage.fileformat", "", ClassInput, "Use a valid JPG, PNG, BMP or WEBP image."},
	{"invalidimageformat", "", ClassInput, "Use a valid JPG, PNG, BMP or WEBP image."},
	{"invalidimage.imagesize", "", ClassInput, "The image must be at most 5 MB."},
	{"invalidvideo.nohuman", "", ClassInput, "Use a video that shows one person."},
	{"invalidvideo.fullface", "", ClassInput, "Use a video whose face is never hidden or cropped."},
	{"invalidvideo.frontbody", "", ClassInput, "Use a video that starts with the person facing the camera."},
	{"invalidvideo.resolution", "", ClassInput, "Each side of the video must be 200 to 2048 pixels."},
	{"invalidvideo.duration", "", ClassInput, "The video must last more than 2 and less than 30 seconds."},
	{"invalidvideo.fileformat", "", ClassInput, "Use an MP4, AVI or MOV video."},
	{"invalidfile.size", "", ClassInput, "The image must be at most 5 MB and the video at most 200 MB."},
	{"invalidfile.duration", "", ClassInput, "The video must last more than 2 and less than 30 seconds."},
	{"invalidfile.resolution", "", ClassInput, "Sides must be 200 to 4096 pixels (image) or 200 to 2048 pixels (video)."},
	{"invalidfile.aspectratio", "", ClassInput, "The aspect ratio must lie between 1:3 and 3:1."},
	{"invalidfile.fps", "", ClassInput, "Use a video of an ordinary frame rate."},
	{"invalidfile.format", "", ClassInput, ""},
	{"invalidfile.openerror", "", ClassInput, "The file cannot be opened: it may be damaged."},
	{"invalidfile.value", "", ClassInput, "The picture is too dark."},
	{"invalidfile.nohuman", "", ClassInput, ""},
	{"invalidfile.multihuman", "", ClassInput, "Only one person may be visible."},
	{"invalidfile.fullface", "", ClassInput, ""},
	{"invalidfile.facepose", "", ClassInput, ""},
	{"invalidfile.frontbody", "", ClassInput, ""},
	{"invalidfile.bodypose", "", ClassInput, ""},
	{"invalidfile.bodyproportion", "", ClassInput, ""},
	{"invalidfile.fullbody", "", ClassInput, ""},
	{"invalidfile.content", "", ClassInput, ""},
	{"invalidperson", "", ClassInput, "Exactly one person must be visible."},

	// Moderation.
	{"datainspectionfailed", "", ClassInput, moderated},
	{"ipinfringementsuspect", "", ClassInput, moderated},
	{"customroleblocked", "", ClassInput, "A rule of this account blocks the content."},

	// The provider's side.
	{"internalerror", "", ClassRetry, ""},
	{"internalerror.algo", "", ClassRetry, "The model failed on this pair; if it does so again, the picture or the video may be damaged or unsuitable."},
	{"internalerror.timeout", "", ClassRetry, "The provider gave no result within its own time limit; try again later."},
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
	unreachable   = "The provider could not fetch the file: serve it from a public address, best from object storage in the same region."
	noPersonImage = "Use an image that shows one person."
	moderated     = "The provider's content check refused this pair; it cannot be switched off."
)
